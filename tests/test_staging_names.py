"""Claims about the names of copies: nothing that is there is written over, or taken away."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kitepipe import pipeline
from kitepipe.errors import StagingBusy, UsageError
from kitepipe.progress import Silent
from kitepipe.staging_open import DRAFT
from tests.archive_help import archiving_hand, stage
from tests.load_help import Hand
from tests.staging_help import contents


@pytest.fixture(scope="module")
def made_hand(tmp_path_factory: pytest.TempPathFactory) -> Hand:
    """Two replies of each of three instruments; nothing is loaded."""
    hand = archiving_hand(tmp_path_factory.mktemp("made"), "")
    stage(hand, 0, 2)
    return hand


@pytest.fixture
def hand(made_hand: Hand, tmp_path: Path) -> Hand:
    """A copy of it, for one test."""
    return made_hand.moved(tmp_path, "")


@pytest.mark.parametrize("verb", [pipeline.backup, pipeline.rescue])
@pytest.mark.parametrize(
    ("name", "mine", "why"),
    [
        ("b.duckdb", "b.duckdb", "is there already; name a new file"),
        ("b.duckdb", "b.duckdb.wal", "is there already; move it away"),
        ("no/b.duckdb", None, "there is no folder"),
        ("a.duckdb", None, "is there already"),
        ("a.duckdb.wal", None, "belongs to a staging file"),
        ("a.duckdb.run.json", None, "belongs to a staging file"),
    ],
)
def test_a_copy_writes_over_nothing(
    hand: Hand, tmp_path: Path, verb: Callable[..., object], name: str, mine: str | None, why: str
) -> None:
    """What is there is refused (exit 2), and so are names that are DuckDB's or our own."""
    if mine:
        (tmp_path / mine).write_text("mine")
    before = contents(hand.settings.staging)
    with pytest.raises(UsageError, match=why):
        verb(hand.settings, tmp_path / name, Silent())
    assert mine is None or (tmp_path / mine).read_text() == "mine"
    assert contents(hand.settings.staging) == before


@pytest.mark.parametrize("verb", [pipeline.backup, pipeline.rescue])
def test_a_file_that_comes_meanwhile_is_not_written_over(
    hand: Hand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: Callable[..., object]
) -> None:
    """A copy takes minutes; a neighbour of its own kind with the same name is sent away."""
    target = tmp_path / "b.duckdb"
    whole = shutil.copymode

    def meanwhile(source: Path, draft: Path) -> None:
        whole(source, draft)
        with pytest.raises(StagingBusy):
            pipeline.backup(hand.settings, target, Silent())
        target.write_text("mine")

    monkeypatch.setattr(shutil, "copymode", meanwhile)
    with pytest.raises(UsageError, match="has come meanwhile"):
        verb(hand.settings, target, Silent())
    assert target.read_text() == "mine"
    assert list(tmp_path.glob(f"*{DRAFT}")) == []


@pytest.mark.parametrize("name", ["b.duckdb.new", "b.duckdb.compact"])
def test_a_staging_file_may_have_any_name(hand: Hand, tmp_path: Path, name: str) -> None:
    """A copy of it under the shorter name takes nothing away."""
    path = hand.settings.staging.rename(tmp_path / name)
    hand.settings = replace(hand.settings, staging=path)
    before = contents(path)
    pipeline.backup(hand.settings, tmp_path / "b.duckdb", Silent())
    assert contents(path) == contents(tmp_path / "b.duckdb") == before
