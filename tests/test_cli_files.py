"""`archive` and `staging` from the command line: reports, exit codes, what people read."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kitepipe.cli import main
from tests.archive_help import archiving_hand, in_file, stage
from tests.load_help import Hand, with_schema


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("KITEPIPE_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def hand(tmp_path: Path, plain_dsn: str) -> Hand:
    """Eight replies of each of three instruments, loaded."""
    hand = archiving_hand(tmp_path, with_schema(plain_dsn))
    stage(hand, 0, 8)
    hand.load()
    return hand


def _run(hand: Hand, *args: str) -> Result:
    environ = {"KITEPIPE_STAGING": str(hand.settings.staging)}
    environ["KITEPIPE_DSN"] = str(hand.settings.dsn)
    return CliRunner(env=environ).invoke(main, list(args))


def test_archive_tells_the_room_that_it_needs_and_frees(hand: Hand) -> None:
    """Before and after, as text and as JSON; without a setting the folder lies in this one."""
    told = _run(hand, "archive", "--dry-run")
    assert (told.exit_code, Path("kitepipe-archive").exists()) == (0, False)
    for words in ("replies ", "room taken", "free in kitepipe-archive", "room freed", "--dry-run"):
        assert words in told.stdout
    assert "done" not in told.stdout
    report = json.loads(_run(hand, "archive", "--json").stdout)
    assert (report["replies"], report["files"], report["exit_code"]) == (21, 1, 0)
    (file,) = Path("kitepipe-archive").iterdir()
    assert report["file_bytes"] == file.stat().st_size
    nothing = _run(hand, "archive")
    assert (nothing.exit_code, "nothing to move" in nothing.stdout) == (0, True)
    assert len(in_file(hand.settings.staging)) == 3


def test_a_replay_without_the_archive_is_incomplete(hand: Hand) -> None:
    """Exit 3, and the file is named where people look."""
    assert _run(hand, "archive", "--archive", "cheap").exit_code == 0
    lost = _run(hand, "replay")
    assert lost.exit_code == 3
    assert "kitepipe-archive/" in lost.stdout
    assert "name its folder with 'archive'" in lost.stdout
    assert _run(hand, "verify").exit_code == 3
    assert _run(hand, "replay", "--archive", "cheap").exit_code == 0
    assert _run(hand, "verify", "--archive", "cheap").exit_code == 0


def test_archive_needs_a_database_that_knows_what_is_loaded(hand: Hand) -> None:
    """Without one (exit 2), or with one that has no tables (13), nothing is moved."""
    assert _run(hand, "archive", "--dsn", "").exit_code == 2
    dead = _run(hand, "archive", "--dsn", "host=127.0.0.1 port=1 dbname=x")
    assert dead.exit_code == 13
    assert len(in_file(hand.settings.staging)) == 24


def test_compact_and_backup_tell_sizes_before_and_after(hand: Hand) -> None:
    """So that one sees what it was good for."""
    report = json.loads(_run(hand, "staging", "backup", "b.duckdb", "--json").stdout)
    assert (report["replies"], report["bytes_after"]) == (24, Path("b.duckdb").stat().st_size)
    assert _run(hand, "staging", "backup", "b.duckdb").exit_code == 2
    text = _run(hand, "staging", "compact").stdout
    assert all(words in text for words in ("compact: done", "before", "after", "a.duckdb"))
    report = json.loads(_run(hand, "staging", "compact", "--json").stdout)
    assert report["bytes_after"] == hand.settings.staging.stat().st_size


@pytest.mark.parametrize("verb", [("compact",), ("backup", "b.duckdb")])
def test_a_staging_file_that_is_not_there_is_not_made(
    tmp_path: Path, verb: tuple[str, ...]
) -> None:
    """Exit 12, and the folder stays empty."""
    result = CliRunner().invoke(main, ["staging", *verb])
    assert (result.exit_code, "there is no such file" in result.stderr) == (12, True)
    assert {path.name for path in tmp_path.iterdir()} <= {"kitepipe.duckdb.lock"}


@pytest.mark.parametrize("verb", ["compact", "backup"])
def test_help_of_each_has_an_example(verb: str) -> None:
    """As every other command's."""
    result = CliRunner().invoke(main, ["staging", verb, "--help"])
    assert (result.exit_code, f"kitepipe staging {verb}" in result.stdout) == (0, True)
