"""Continuous futures: instruments of their own, whatever contract they are asked with."""

import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from kitepipe import pipeline
from kitepipe.model import Interval, Window
from kitepipe.plan import Bounds
from kitepipe.progress import Silent
from kitepipe.sandbox import Sandbox
from kitepipe.summary import RunReport
from tests.box_help import Box
from tests.fetch_help import asked
from tests.load_help import candles, footprint, with_schema
from tests.sandbox_asking import AUTHORIZATION, ist, sandbox
from tests.servers import Look, looking

BEFORE, AFTER = ist(2026, 11, 20, 20), ist(2026, 11, 26, 20)  # NIFTY26NOVFUT ends on the 23rd
SOME = Bounds(first=date(2026, 10, 1))
NIFTY = "NFO:NIFTY26???FUT"
CONT = [("NIFTY-CONT",)]


@pytest.fixture
def kite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox with a key of its own, on a Friday evening."""
    key = f"key{tmp_path.name}{os.getpid()}"
    monkeypatch.setitem(AUTHORIZATION, "Authorization", f"token {key}:sandbox_token")
    with sandbox(api_key=key, other_rate_limit=1000, now=BEFORE) as server:
        yield server


@pytest.fixture
def box(kite: Sandbox, tmp_path: Path, warehouse_dsn: str) -> Box:
    """A box with an empty warehouse."""
    return Box(tmp_path, kite, warehouse_dsn)


def run(box: Box, *, bounds: Bounds = SOME, **settings: object) -> RunReport:
    """Run with continuous candles, by the sandbox's clock."""
    given = {"tradingsymbols": (NIFTY,), "continuous": True} | settings
    return pipeline.run(box.settings(**given), bounds, Silent(), clock=lambda: box.kite.now)


def test_a_first_run_needs_nothing_before_it(box: Box, kite: Sandbox, look: Look) -> None:
    """Into empty staging and an empty database, with oi: one series for each future."""
    ended = box.kitepipe(
        *("run", "--segments", "NFO-FUT", "--continuous", "--oi", "--from", "2026-11-02", "--json")
    )
    assert (ended.code, ended.report["load"]["series"]) == (0, 3)
    names = [(f"{name}-CONT", True, 15) for name in ("BANKNIFTY", "M&M", "NIFTY")]
    query = "select tradingsymbol, continuous, count(oi) from kite_ohlcv group by 1, 2 order by 1"
    assert look(query) == names
    nearest = {kite.token_of(f"{name}26NOVFUT") for name in ("BANKNIFTY", "M&M", "NIFTY")}
    assert {one.token for one in asked(kite)} == nearest


def test_history_goes_on_in_one_series_over_a_roll(box: Box, kite: Sandbox, look: Look) -> None:
    """Another contract is asked, only what is new, and the table is that of one download."""
    run(box)
    kite.set_now(AFTER)
    kite.clear_log()
    report = run(box)
    december = kite.token_of("NIFTY26DECFUT")
    (told,) = asked(kite)
    assert (told.token, told.window.last) == (december, date(2026, 11, 26))
    assert told.window.first >= date(2026, 11, 20)  # with a session that is known
    assert (report.fetch.rebased, report.exit_code) == ([], 0)
    assert look("select distinct tradingsymbol from kite_ohlcv") == CONT
    assert look("select count(*) from kite_instruments where continuous") == [(1,)]
    assert look("select count(*) from kite_series") == [(1,)]


def test_staging_files_of_both_sides_of_a_roll_meet(
    box: Box, kite: Sandbox, look: Look, plain_dsn: str
) -> None:
    """Two staging files that never saw the same contract fill one series, in either order."""
    run(box, bounds=Bounds(first=date(2026, 10, 1), last=date(2026, 11, 18)))
    kite.set_now(ist(2027, 3, 10, 20))
    other = {"staging": box.folder / "other.duckdb"}
    run(box, bounds=Bounds(first=date(2026, 11, 12), from_scratch=True), **other)
    assert look("select distinct tradingsymbol from kite_ohlcv") == CONT
    backwards = with_schema(plain_dsn)
    for staging in (other, {}):
        pipeline.load(box.settings(dsn=backwards, **staging), Silent())
    with looking(plain_dsn) as inside:
        assert candles(inside) == candles(look)


def test_contracts_keep_their_intraday_candles(box: Box, kite: Sandbox, look: Look) -> None:
    """By the day the continuous series stands for its contracts; intraday, Kite has only these."""
    november = {"tradingsymbols": ("NIFTY26NOVFUT",)}
    both = (Interval.DAY, Interval.MINUTE_60)
    run(box, bounds=Bounds(first=date(2026, 11, 2)), candle_interval=both, **november)
    found = look("select distinct tradingsymbol, candle_interval, continuous from kite_ohlcv")
    assert sorted(found) == [
        ("NIFTY-CONT", "day", True),
        ("NIFTY26NOVFUT", "60minute", False),
    ]
    assert [one.interval for one in asked(kite)].count("day") == 1


def test_a_continuous_future_may_be_named_itself(box: Box, kite: Sandbox, look: Look) -> None:
    """NIFTY-CONT is a tradingsymbol as any other; a second run asks and writes nothing."""
    for name in ("NIFTY-CONT", "NFO:NIFTY-CONT"):
        run(box, tradingsymbols=(name,))
    assert look("select distinct tradingsymbol, instrument_token from kite_ohlcv") == [
        ("NIFTY-CONT", 0)
    ]
    before = footprint(look)
    kite.clear_log()
    run(box)
    assert (asked(kite), footprint(look)) == ([], before)


def test_a_new_staging_file_adopts_what_is_covered(box: Box, kite: Sandbox) -> None:
    """Coverage of a continuous series is found in the warehouse, also after a roll."""
    run(box)
    kite.set_now(AFTER)
    kite.clear_log()
    run(box, staging=box.folder / "other.duckdb")
    assert [told.window for told in asked(kite)] == [Window(date(2026, 11, 20), date(2026, 11, 26))]


def test_switching_oi_on_asks_again_once(box: Box, kite: Sandbox, look: Look) -> None:
    """What was asked without open interest is asked with it, in as many requests, and only once."""
    run(box)
    requests = len(asked(kite))
    assert look("select count(oi) from kite_ohlcv") == [(0,)]
    for again in (requests, 0):
        kite.clear_log()
        run(box, oi=True)
        assert len(asked(kite)) == again
    assert look("select count(*) - count(oi) from kite_ohlcv") == [(0,)]
    kite.clear_log()
    run(box, oi=False)
    assert asked(kite) == []
