"""Killed at any step of `archive` or `compact`, nothing is lost, and the next run goes on."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from kitepipe import pipeline
from kitepipe.progress import Silent
from tests.archive_help import (
    archive,
    archiving_hand,
    files,
    in_archive,
    in_file,
    loaded_hand,
    stage,
)
from tests.box_help import ENVIRON
from tests.load_help import Hand, candles, with_schema
from tests.marks import examples
from tests.servers import Look, looking

pytestmark = pytest.mark.faults

# Runs a verb of pipeline in files of two seals each, and dies at the nth call of a function.
_KILLED = dedent(
    """
    import importlib, itertools, os, sys
    from pathlib import Path
    from kitepipe import pipeline, staging_archive
    from kitepipe.config import Settings
    from kitepipe.progress import Silent
    verb, step, staging, archive, dsn = sys.argv[1:]
    staging_archive._FILE_BYTES = 3000
    module, name, when, nth = step.split(":")
    owner = importlib.import_module("kitepipe." + module)
    original, calls = getattr(owner, name), itertools.count(1)
    def killed(*args, **more):
        last = next(calls) == int(nth)
        if last and when == "before":
            os.kill(os.getpid(), 9)
        result = original(*args, **more)
        if last:
            os.kill(os.getpid(), 9)
        return result
    setattr(owner, name, killed)
    settings = Settings(staging=Path(staging), archive=Path(archive), dsn=dsn or None)
    getattr(pipeline, verb)(settings, Silent())
    """
)
_ARCHIVE = [
    "staging_parquet:flush:before:1",  # the draft is written
    "staging_parquet:_run:before:1",  # and on disk
    "staging_parquet:flush:before:2",  # it has its name
    "staging_archive:write_archive:after:2",  # the second file is known to nobody
    "staging_archive:_replace_seals:before:2",  # inside the transaction
    "staging_archive:_replace_seals:after:2",
    "pipeline_staging:archive_batch:after:2",
    "pipeline_staging:room:before:2",  # all is moved, nothing told
]
_COMPACT = [
    "pipeline_staging:copy_proven:before:1",
    "staging_copy:_prove_rows:after:3",
    "staging_copy:_prove_bodies:after:2",
    "staging_copy:flush:before:1",
    "pipeline_staging:copy_proven:after:1",  # the copy is there, and not in its place
    "pipeline_staging:flush:before:1",  # it is
]


def _kill(hand: Hand, verb: str, step: str) -> None:
    paths = (str(hand.settings.staging), str(hand.settings.archive), str(hand.settings.dsn))
    command = [sys.executable, "-c", _KILLED, verb, step, *paths]
    ended = subprocess.run(
        command,
        cwd=hand.settings.staging.parent,
        env=ENVIRON,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == -9, ended.stderr


def _is_whole(hand: Hand, replies: int) -> bool:
    """Tell whether each body is in the one place or in the other, as it came."""
    path = hand.settings.staging
    archived, here = in_archive(path), in_file(path)
    everything = set(range(1, replies + 1))
    proof = pipeline.verify(hand.settings, Silent())
    return (here | archived, here & archived, proof.exit_code) == (everything, set(), 0)


@pytest.mark.parametrize("step", _ARCHIVE)
def test_a_kill_at_any_step_of_archive_loses_nothing(
    step: str, tmp_path: Path, plain_dsn: str
) -> None:
    """Each body is in staging or in a file that staging knows; the next run moves the rest."""
    hand = loaded_hand(tmp_path, plain_dsn, 8)
    _kill(hand, "archive", step)
    assert _is_whole(hand, 24)
    archive(hand)
    assert _is_whole(hand, 24)
    assert len(in_file(hand.settings.staging)) == 3
    assert [file.name for file in files(hand) if file.suffix == ".new"] == []


@pytest.mark.parametrize("step", _COMPACT)
def test_a_kill_at_any_step_of_compact_leaves_the_old_file_or_the_new_one(
    step: str, tmp_path: Path, plain_dsn: str
) -> None:
    """The file is there, whole; what was left half made is gone after the next run."""
    hand = loaded_hand(tmp_path, plain_dsn, 8)
    archive(hand)
    _kill(hand, "compact", step)
    assert _is_whole(hand, 24)
    pipeline.compact(hand.settings, Silent())
    assert _is_whole(hand, 24)
    left = {path.name for path in tmp_path.iterdir() if path.is_file()}
    assert left == {"a.duckdb", "a.duckdb.lock"}


STEPS = st.lists(
    st.sampled_from(["stage", "load", "archive", "replay", "compact", "move"]),
    min_size=3,
    max_size=8,
)


@given(steps=STEPS)
@settings(max_examples=examples(5), phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_any_order_of_fetch_load_archive_replay_and_compact_gives_the_same_table(
    tmp_path_factory: pytest.TempPathFactory, module_plain_dsn: str, steps: list[str]
) -> None:
    """Where bodies stand is of no consequence: the table is that of one load of everything."""
    folder = tmp_path_factory.mktemp("order")
    with_schema(module_plain_dsn)
    with looking(module_plain_dsn) as look:
        _empty(look)
        hand = archiving_hand(folder, module_plain_dsn)
        staged = [number for number, step in enumerate(["stage", *steps]) if step == "stage"]
        for number, step in enumerate(["stage", *steps, "archive", "load"]):
            _do(hand, step, number)
        found = candles(look)
        assert pipeline.verify(hand.settings, Silent()).exit_code == 0

        _empty(look)
        plain = archiving_hand(tmp_path_factory.mktemp("plain"), module_plain_dsn)
        for number in staged:
            _do(plain, "stage", number)
        plain.load()
        assert found == candles(look)


def _empty(look: Look) -> None:
    look(
        "truncate kite_ohlcv_historic, kite_load_ledger, kite_series, kite_quarantine, "
        "kite_rebases, kite_instruments, kite_instrument_names"
    )


def _do(hand: Hand, step: str, number: int) -> None:
    """Do one step; what is staged overlaps with what was staged before, at other prices."""
    if step == "stage":
        stage(hand, 10 * number, 4, 100.0 + number)
    elif step == "archive":
        archive(hand)
    elif step == "compact":
        pipeline.compact(hand.settings, Silent())
    elif step == "move" and hand.settings.archive.exists():
        moved = hand.settings.archive.with_name(f"moved {number}")
        hand.settings.archive.rename(moved)
        hand.settings = replace(hand.settings, archive=moved)
    elif step in ("load", "replay"):
        assert getattr(hand, step)().exit_code == 0
