"""Open interest: as asked, asked again when it is switched on, on one price base at any moment."""

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from kitepipe import pipeline
from kitepipe.model import Interval
from kitepipe.plan import Bounds
from kitepipe.progress import Silent
from kitepipe.sandbox import Sandbox
from kitepipe.settings import Settings
from kitepipe.summary import RunReport
from tests.box_help import Box
from tests.fetch_help import asked
from tests.load_help import candles, with_schema
from tests.sandbox_asking import ist, sandbox
from tests.servers import Look, Rows, looking

SINCE = Bounds(first=date(2024, 6, 1))


@pytest.fixture
def kite(tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox with a key of its own, two days before INFY is split."""
    key = f"key{tmp_path.name}{os.getpid()}"
    with sandbox(api_key=key, other_rate_limit=1000, now=ist(2026, 11, 18, 20)) as server:
        yield server


@pytest.fixture
def settings(kite: Sandbox, tmp_path: Path, warehouse_dsn: str) -> Settings:
    """Settings for INFY by the hour: three windows of history."""
    box = Box(tmp_path, kite, warehouse_dsn)
    return box.settings(tradingsymbols=("NSE:INFY",), candle_interval=(Interval.MINUTE_60,))


def run(kite: Sandbox, settings: Settings, bounds: Bounds = SINCE) -> RunReport:
    """Run by the sandbox's clock, and forget what was asked before."""
    kite.clear_log()
    return pipeline.run(settings, bounds, Silent(), clock=lambda: kite.now)


def test_switching_it_on_asks_again_once(kite: Sandbox, settings: Settings, look: Look) -> None:
    """As many requests as the first time, then none; switched off again, none."""
    run(kite, settings)
    first = len(asked(kite))
    assert look("select count(oi) from kite_ohlcv") == [(0,)]
    for again in (first, 0):
        run(kite, replace(settings, oi=True))
        assert len(asked(kite)) == again
    assert look("select count(*) - count(oi) from kite_ohlcv") == [(0,)]
    run(kite, settings)
    assert asked(kite) == []


def test_history_that_was_re_based_since_is_not_mixed(
    kite: Sandbox, settings: Settings, look: Look, plain_dsn: str
) -> None:
    """Asked again for its oi after a split, and interrupted: the old base stays until the end."""
    run(kite, settings)
    before = candles(look)
    kite.split("NSE:INFY", date(2026, 11, 20), 2.0)
    kite.set_now(ist(2026, 11, 20, 20))
    with_oi = replace(settings, oi=True)
    report = run(kite, with_oi, replace(SINCE, max_requests=1))
    assert (len(report.fetch.rebased), candles(look)) == (1, before)
    run(kite, with_oi)
    fresh = replace(with_oi, staging=settings.staging.with_name("b.duckdb"))
    run(kite, replace(fresh, dsn=with_schema(plain_dsn)))
    with looking(plain_dsn) as inside:
        assert candles(inside) == candles(look) != before


def _fresh(kite: Sandbox, settings: Settings, dsn: str) -> Rows:
    """Return the table of one download made now, with open interest."""
    fresh = replace(settings, oi=True, staging=settings.staging.with_name("fresh.duckdb"))
    run(kite, replace(fresh, dsn=with_schema(dsn)))
    with looking(dsn) as inside:
        return candles(inside)


def test_switched_off_it_stays_for_what_has_it(
    kite: Sandbox, settings: Settings, look: Look, plain_dsn: str
) -> None:
    """No request more, and no session loses its oi: not the shared one, nor those that follow."""
    run(kite, replace(settings, oi=True))
    kite.set_now(ist(2026, 11, 19, 20))
    run(kite, settings)
    assert len(asked(kite)) == 1
    assert look("select count(*) - count(oi) from kite_ohlcv") == [(0,)]
    assert candles(look) == _fresh(kite, settings, plain_dsn)
    assert pipeline.verify(settings, Silent()).differing == 0
    report = pipeline.replay(settings, Silent())
    assert (report.new, report.changed, report.gone) == (0, 0, 0)


def test_switched_off_half_way_the_rest_is_asked_all_the_same(
    kite: Sandbox, settings: Settings, look: Look, plain_dsn: str
) -> None:
    """Else the table would have it for some months and not for others."""
    run(kite, settings)
    run(kite, replace(settings, oi=True), replace(SINCE, max_requests=1))
    run(kite, settings)
    assert pipeline.status(settings, gaps=True).exit_code == 0
    assert candles(look) == _fresh(kite, settings, plain_dsn)


def test_what_the_warehouse_has_with_oi_is_gone_on_with_so(
    kite: Sandbox, settings: Settings, look: Look
) -> None:
    """A new staging file adopts the table's dates, and asks as they were asked."""
    run(kite, replace(settings, oi=True), Bounds())
    kite.set_now(ist(2026, 11, 19, 20))
    run(kite, replace(settings, staging=settings.staging.with_name("b.duckdb")), Bounds())
    assert look("select count(*) - count(oi) from kite_ohlcv") == [(0,)]
