"""Session hours that change on a date are no holes; a real hole beside them still is one."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from kitepipe import pipeline
from kitepipe.model import GapKind, Interval
from kitepipe.sandbox import Sandbox
from kitepipe.sessions import hour_changes
from kitepipe.settings import Settings
from tests.fetch_help import fetch, settings_for
from tests.gap_help import dates
from tests.sandbox_asking import ist, sandbox

CHANGE = date(
    2026, 8, 3
)  # a Monday: shares with derivatives trade to 15:15, and an auction follows
# Some with derivatives, whose hours change, beside more that have none.
SHARES = ("INFY", "TCS", "NIFTYBEES", "GOLDBEES", "MRF", "NCC", "SUZLON", "J&KBANK")
INTERVALS = (Interval.MINUTE_5, Interval.MINUTE_60)


@pytest.fixture
def kite() -> Iterator[Sandbox]:
    """A sandbox on the last evening before the change."""
    with sandbox(now=ist(2026, 7, 31, 20), other_rate_limit=1000) as server:
        yield server


def place(kite: Sandbox, tmp_path: Path, **more: Any) -> Settings:
    """Return settings for some weeks before the change."""
    return settings_for(
        kite, tmp_path / "s.duckdb", tradingsymbols=SHARES, bootstrap_date=date(2026, 6, 1),
        candle_interval=INTERVALS, **more,
    )  # fmt: skip


def holes(settings: Settings) -> list[tuple[str, date, date]]:
    """Return the holes as `status --gaps` tells them."""
    gaps = pipeline.status(settings, gaps=True).gaps or []
    return dates([gap for gap in gaps if gap.kind is GapKind.HOLE])


def test_no_night_after_a_change_of_hours_is_red(kite: Sandbox, tmp_path: Path) -> None:
    """Two weeks, and after five: neither the new sessions nor the old ones are told as short."""
    settings = place(kite, tmp_path)
    for night in (0, 3, 4, 5, 6, 7, 10, 13, 35):
        kite.set_now(ist(2026, 7, 31, 20) + timedelta(days=night))
        assert dates(fetch(kite, settings).holes) == []
    assert holes(settings) == []


def test_a_hole_in_the_week_of_the_change_is_found_when_it_can_be_told(
    kite: Sandbox, tmp_path: Path
) -> None:
    """One of the last old day that night; one of the second new day after six new sessions."""
    for at in (ist(2026, 7, 31, 11, 30), ist(2026, 8, 4, 11, 30)):
        kite.correct("TCS", "5minute", at, gone=True)
    settings = place(kite, tmp_path)
    before = [("NSE:TCS 5minute", date(2026, 7, 31), date(2026, 7, 31))]
    assert dates(fetch(kite, settings).holes) == before
    found = {}
    for day in (4, 7, 10):
        kite.set_now(ist(2026, 8, day, 20))
        fetch(kite, settings)
        found[day] = holes(settings)
    after = [("NSE:TCS 5minute", date(2026, 8, 4), date(2026, 8, 4))]
    assert found == {4: before, 7: before, 10: before + after}


def test_commodities_that_close_earlier_in_us_summer_are_not_short(
    kite: Sandbox, tmp_path: Path
) -> None:
    """From 9 March on the last hour is half as long: its hourly candle is there all the same."""
    settings = settings_for(
        kite, tmp_path / "s.duckdb", exchanges=("MCX",), tradingsymbols=("CRUDEOIL*", "GOLD*"),
        candle_interval=INTERVALS, bootstrap_date=date(2026, 1, 20),
    )  # fmt: skip
    for night in (ist(2026, 3, 7, 12), *(ist(2026, 3, day, 7) for day in (10, 11, 12, 14, 17))):
        kite.set_now(night)
        assert dates(fetch(kite, settings).holes) == []
    assert ("MCX", date(2026, 3, 8)) in hour_changes()
