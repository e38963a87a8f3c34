"""Property 24: a kill between any two steps changes nothing in the end."""

import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from kitepipe import pipeline
from kitepipe.config import Settings
from kitepipe.model import IST, Interval
from kitepipe.plan import Bounds
from kitepipe.progress import Silent
from kitepipe.sandbox import Sandbox
from tests.box_help import Box
from tests.load_help import candles, with_schema
from tests.marks import examples
from tests.sandbox_asking import sandbox
from tests.servers import Look, Rows, looking

pytestmark = pytest.mark.faults

ARGS = (
    *("run", "--from", "2025-01-01", "--candle-interval", "day,60minute"),
    *("--exchanges", "NSE", "--tradingsymbols", "NSE:INFY,NSE:SBIN"),
)

_TABLES = "kite_ohlcv_historic, kite_load_ledger, kite_series, kite_quarantine"
SINCE = Bounds(first=date(2025, 1, 1))


def _same(box: Box) -> Settings:
    """Return ARGS as settings, for a run in this process."""
    return box.settings(
        candle_interval=(Interval.DAY, Interval.MINUTE_60),
        exchanges=("NSE",),
        tradingsymbols=("NSE:INFY", "NSE:SBIN"),
    )


# Runs the command line, and dies (no cleaning up, as by SIGKILL) at the nth call of a function,
# before it or after it. Bodies are sealed two by two, so that a seal is among the steps.
_KILLED = dedent(
    """
    import importlib, itertools, os, sys
    module, name, when, nth = sys.argv.pop(1).split(":")
    from kitepipe.staging_replies import ReplyWriter
    ReplyWriter.__init__.__defaults__ = (100_000,)
    *path, name = name.split(".")
    owner = importlib.import_module("kitepipe." + module)
    for part in path:
        owner = getattr(owner, part)
    original, calls = getattr(owner, name), itertools.count(1)
    def killed(*args, **more):
        last = next(calls) == int(nth)
        if last and when == "before":
            os._exit(9)
        result = original(*args, **more)
        if last:
            os._exit(9)
        return result
    setattr(owner, name, killed)
    from kitepipe.cli import main
    main()
    """
)
_STEPS = [
    "kite:KiteClientWrapper.fetch_reply:after:3",  # answered, not staged
    "staging_replies:ReplyWriter._insert_chunk:after:3",  # inside the staging transaction
    "staging_replies:ReplyWriter.commit:after:3",
    "staging_replies:ReplyWriter._seal:before:1",
    "staging_replies:seal_bodies:after:2",  # inside the transaction of a seal
    "staging_replies:ReplyWriter._checkpoint:before:1",  # sealed, not in the file yet
    "staging_replies:ReplyWriter._checkpoint:before:2",
    "warehouse_copy:CopyStream.read:after:1",  # in the middle of COPY
    "warehouse_series:SeriesTransaction.finish:after:2",  # before the commit
    "load:load_series:after:2",  # after the commit, before anything is told
]


@pytest.fixture
def kite(tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox with a key of its own; what it serves is the same each time."""
    with sandbox(api_key=f"key{tmp_path.name}{os.getpid()}", other_rate_limit=1000) as server:
        yield server


@pytest.fixture(scope="module")
def whole(module_timescale_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """What one run leaves that nobody disturbed."""
    with sandbox(api_key=f"whole{os.getpid()}", other_rate_limit=1000) as server:
        box = Box(tmp_path_factory.mktemp("whole"), server, with_schema(module_timescale_dsn))
        assert box.kitepipe(*ARGS).code == 0
    with looking(module_timescale_dsn) as look:
        return candles(look)


@pytest.mark.parametrize("step", _STEPS)
def test_a_kill_between_any_two_steps_changes_nothing_in_the_end(
    step: str, kite: Sandbox, whole: Rows, tmp_path: Path, warehouse_dsn: str, look: Look
) -> None:
    """Property 24: each series is there whole or not at all (15); the next run makes all good."""
    box = Box(tmp_path, kite, warehouse_dsn)
    ended = box.kitepipe(step, *ARGS, program=("-c", _KILLED))
    assert ended.code == 9, ended.err
    _each_series_is_whole_or_absent(look, whole)
    assert pipeline.run(_same(box), SINCE, Silent()).exit_code == 0
    assert candles(look) == whole
    assert look("select sum(candles) from kite_series") == [(len(whole),)]
    assert look("select count(*) from kite_load_ledger") == [(6,)]
    assert kite.requests.historical <= 6 + 4  # what four series had under way was lost at most


def _each_series_is_whole_or_absent(look: Look, whole: Rows) -> None:
    for key in {row[1:3] for row in whole}:
        there = [row for row in candles(look) if row[1:3] == key]
        assert there in ([], [row for row in whole if row[1:3] == key])
    assert look("select coalesce(sum(candles), 0) from kite_series") == [(len(candles(look)),)]


def test_killed_again_and_again_it_comes_through(
    kite: Sandbox, whole: Rows, tmp_path: Path, warehouse_dsn: str, look: Look
) -> None:
    """Property 24: every run dies one step later than the last, on one staging file."""
    box = Box(tmp_path, kite, warehouse_dsn)
    for step in (_STEPS[1], "warehouse_copy:CopyStream.read:after:1"):
        box.kitepipe(step, *ARGS, program=("-c", _KILLED))
        _each_series_is_whole_or_absent(look, whole)
    pipeline.run(_same(box), SINCE, Silent())
    assert candles(look) == whole


@given(
    step=st.sampled_from(_STEPS),
    nth=st.integers(1, 4),
    since=st.dates(date(2025, 1, 1), date(2026, 11, 1)),
)
@settings(
    max_examples=examples(3),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking would take minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_a_kill_at_any_step_of_any_number_and_size_of_replies(
    tmp_path_factory: pytest.TempPathFactory,
    whole: Rows,
    crashed: Look,
    module_plain_dsn: str,
    step: str,
    nth: int,
    since: date,
) -> None:
    """Property 24: killed at a drawn call of a drawn step, or never where it has fewer calls."""
    crashed(f"truncate {_TABLES}")
    wanted = [row for row in whole if row[3].astimezone(IST).date() >= since]
    folder = tmp_path_factory.mktemp("kill")
    with sandbox(api_key=f"{folder.name}{os.getpid()}", other_rate_limit=1000) as kite:
        box = Box(folder, kite, module_plain_dsn)
        args = ("run", "--from", f"{since}", *ARGS[3:])
        place = step.rpartition(":")[0]
        assert box.kitepipe(f"{place}:{nth}", *args, program=("-c", _KILLED)).code in (0, 9)
        _each_series_is_whole_or_absent(crashed, wanted)
        assert pipeline.run(_same(box), Bounds(first=since), Silent()).exit_code == 0
    assert candles(crashed) == wanted


@pytest.fixture
def crashed(module_plain_dsn: str) -> Iterator[Look]:
    """A look into a warehouse that the examples share."""
    with looking(with_schema(module_plain_dsn)) as look:
        yield look
