"""Where history begins is found with few requests, remembered, and never asked again."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from kitepipe import pipeline
from kitepipe.config import Settings
from kitepipe.model import Interval, Window
from kitepipe.plan import EMPTY_DAYS, Bounds, Known, history_start
from kitepipe.progress import Silent
from kitepipe.sandbox import Sandbox
from kitepipe.staging import Staging
from tests.sandbox_asking import ist, sandbox

YOUNG = "NSE:ETERNAL"  # listed on 2021-07-23
OLD = "NSE:INFY"
EARLIEST = date(2015, 2, 1)


@pytest.fixture
def kite() -> Iterator[Sandbox]:
    """A sandbox whose clock stands at an evening that is past."""
    with sandbox(other_rate_limit=1000, now=ist(2026, 11, 17, 20), api_key="start") as server:
        yield server


@pytest.fixture
def settings(kite: Sandbox, tmp_path: Path) -> Settings:
    """One instrument, into a new staging file."""
    return Settings(
        api_root=kite.url,
        api_key="start",
        access_token=kite.access_token,
        rate_limit=10_000,
        staging=tmp_path / "staging.duckdb",
        tradingsymbols=(YOUNG,),
    )


def _fetch(settings: Settings, *intervals: str) -> int:
    """Fetch these intervals and return the windows that it took."""
    chosen = replace(settings, candle_interval=tuple(map(Interval, intervals)))
    report = pipeline.fetch(chosen, Bounds(), Silent())
    assert report.failures == []
    return report.windows_done


def _candles(settings: Settings, interval: str) -> int:
    with Staging.read(settings.staging) as staging, staging.cursor() as cursor:
        rows = cursor.execute(
            "select sum(rows) from reply join chunk using (chunk_id) where interval = ?", [interval]
        ).fetchall()
    return int(rows[0][0] or 0)


def test_day_and_minute_of_a_listing_of_2021(kite: Sandbox, settings: Settings) -> None:
    """3 requests find and fetch all day candles, 33 the minutes since: 36, where naive is 78."""
    assert _fetch(settings, "day", "minute") == 36
    assert kite.requests.historical == 36


def test_minutes_alone_are_probed_for_their_start(kite: Sandbox, settings: Settings) -> None:
    """A probe by day, forward from 2015, takes 2 requests and saves 39 windows of minutes."""
    assert _fetch(settings, "minute") == 2 + 33
    assert _candles(settings, "day") == 0, "a probe is staged as such"


def test_a_probe_is_never_loaded(settings: Settings, timescale_dsn: str) -> None:
    """The table holds minutes and nothing else, and nothing counts as not loaded."""
    given = replace(settings, dsn=timescale_dsn, candle_interval=(Interval.MINUTE_60,))
    pipeline.apply_schema(given)
    report = pipeline.run(given, Bounds(), Silent())
    assert report.load.series == 1
    status = pipeline.status(given)
    assert status.unloaded == 0
    assert [interval.interval for interval in status.intervals] == ["60minute"]


def test_the_start_is_asked_once(kite: Sandbox, settings: Settings) -> None:
    """A second run asks nothing, and another interval begins where history is known to begin."""
    _fetch(settings, "minute")
    kite.clear_log()
    assert _fetch(settings, "minute") == 0
    assert _fetch(settings, "5minute") == -(-(date(2026, 11, 17) - date(2021, 7, 23)).days // 100)


def test_an_old_share_costs_one_probe(kite: Sandbox, settings: Settings) -> None:
    """Where candles begin with Kite's first, the first probe tells it; no window is left out."""
    old = replace(settings, tradingsymbols=(OLD,))
    days = (date(2026, 11, 17) - EARLIEST).days + 1
    assert _fetch(old, "60minute") == 1 + -(-days // 400)
    assert _fetch(old, "day") == 6


def test_an_interrupted_search_goes_on(settings: Settings) -> None:
    """Stopped after each request, it takes as many requests as in one go, and finds the same."""
    taken = 0
    for _ in range(10):
        report = pipeline.fetch(settings, Bounds(max_requests=1), Silent())
        taken += report.windows_done
    assert taken == 3
    together = _candles(settings, "day")
    assert together == (
        _candles_in_one_go(replace(settings, staging=settings.staging.with_name("b.duckdb")))
    )


def _candles_in_one_go(settings: Settings) -> int:
    _fetch(settings, "day")
    return _candles(settings, "day")


def test_a_failed_window_proves_nothing(kite: Sandbox, settings: Settings) -> None:
    """A probe that failed leaves the minutes to be asked in full: no candle is lost to a guess."""
    kite.fail(YOUNG, "500", times=10)
    minutes = replace(settings, candle_interval=(Interval.MINUTE_60,), max_attempts=1)
    report = pipeline.fetch(minutes, Bounds(max_requests=400), Silent())
    assert report.windows_planned > -(-(date(2026, 11, 17) - EARLIEST).days // 400)


def test_what_proves_a_start() -> None:
    """Emptiness back to the earliest date or over 2,000 days, without a hole."""
    first, session = date(2021, 7, 23), date(2026, 11, 17)
    whole = Known((Window(date(2010, 1, 1), session),), session, None, first)
    assert history_start(whole, EARLIEST) == first
    cut = (Window(date(2010, 1, 1), date(2021, 1, 1)), Window(date(2021, 2, 1), session))
    assert history_start(Known(cut, session, None, first), EARLIEST) is None
    short = Known((Window(date(2021, 1, 1), session),), session, None, first)
    assert history_start(short, EARLIEST) is None
    assert history_start(Known(), EARLIEST) is None
    assert Interval.DAY.max_days == EMPTY_DAYS


def test_an_older_island_does_not_end_the_search(settings: Settings) -> None:
    """What lies between a year that was asked before and today is asked whole, in the same run."""
    chosen = replace(settings, candle_interval=(Interval.DAY, Interval.MINUTE_60))
    year = Bounds(first=date(2003, 1, 1), last=date(2003, 12, 31))
    pipeline.fetch(replace(settings, candle_interval=(Interval.DAY,)), year, Silent())

    pipeline.fetch(chosen, Bounds(), Silent())

    fresh = replace(chosen, staging=settings.staging.with_name("b.duckdb"))
    pipeline.fetch(fresh, Bounds(), Silent())
    assert _dates(chosen, "day") == _dates(fresh, "day") != set()
    assert _dates(chosen, "60minute") == _dates(fresh, "60minute") != set()


def test_a_young_share_that_splits_is_asked_whole_again(kite: Sandbox, settings: Settings) -> None:
    """The empty years before its listing do not end the asking of a new epoch."""
    _fetch(settings, "day")
    kite.set_now(ist(2026, 11, 19, 20))
    kite.split(YOUNG, date(2026, 11, 19), 2)

    report = pipeline.fetch(settings, Bounds(), Silent())

    assert len(report.rebased) == 1
    assert _dates(settings, "day", "epoch > timestamp '1970-01-01'") == _dates(settings, "day")


def _dates(settings: Settings, interval: str, where: str = "true") -> set[date]:
    with Staging.read(settings.staging) as staging, staging.cursor() as cursor:
        rows = cursor.execute(
            "select distinct unnest(dates) from reply join chunk using (chunk_id) "
            f"where interval = ? and {where}",
            [interval],
        ).fetchall()
    return {row[0] for row in rows}
