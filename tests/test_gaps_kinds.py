"""Which gaps are holes, and which are explained: one alone, minutes, empty replies, listings."""

from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from kitepipe.model import GapKind, Interval, Window
from tests.fetch_help import SOME, fetch, settings_for
from tests.gap_help import EVENINGS, LOST, Place, dates, hole
from tests.sandbox_asking import ist, sandbox


def test_one_instrument_alone_has_no_holes(tmp_path: Path) -> None:
    """Nobody else says that there was a session."""
    with sandbox() as kite:
        place = Place(kite, tmp_path, tradingsymbols=("INFY",))
        place.lose("INFY", LOST)
        assert place.fetch().exit_code == 0
        assert place.gaps(GapKind.HOLE, GapKind.SUSPENDED, GapKind.ABSENT) == []


def test_minutes_that_are_missing_in_a_full_series_are_ahole(tmp_path: Path) -> None:
    """One candle less than usual, on a day on which others are whole."""
    with sandbox() as kite:
        place = Place(kite, tmp_path, candle_interval=(Interval.MINUTE_15,))
        kite.correct("TCS", "15minute", ist(2026, 10, 7, 11, 30), gone=True)
        report = place.fetch()
        assert place.fetch(1, repair=True).exit_code == 3
        assert len(place.asked()) == 1
    assert dates(report.holes) == [("NSE:TCS 15minute", LOST, LOST)]
    assert report.holes[0].why == "fewer candles than in its other sessions"


def test_short_sessions_and_illiquid_instruments_have_no_holes(tmp_path: Path) -> None:
    """Muhurat is short for all; minutes in which nobody traded are not missing."""
    symbols = (*SOME[:3], "CENTRALBK-BE", "EMMBI-BL", "735TN30-SG")
    with sandbox() as kite:
        place = Place(
            kite, tmp_path, tradingsymbols=symbols,
            candle_interval=(Interval.MINUTE_5, Interval.MINUTE_60, Interval.DAY),
        )  # fmt: skip
        assert place.fetch().holes == []
        assert place.status().exit_code == 0


def test_an_empty_reply_inside_the_listed_life_is_suspicious(tmp_path: Path) -> None:
    """Though it stands alone and no session is known by others; asked again on other days."""
    with sandbox() as kite:
        place = Place(
            kite, tmp_path, tradingsymbols=("INFY",), candle_interval=(Interval.MINUTE_60,)
        )
        assert place.fetch(first=date(2026, 9, 1), last=date(2026, 9, 10)).exit_code == 0
        days = [date(2026, 9, 11) + timedelta(n) for n in range(20)]
        place.lose("INFY", *days, interval=Interval.MINUTE_60)
        report = place.fetch(first=days[0], last=days[-1])
        assert (report.exit_code, report.holes[0].why) == (3, "the whole reply was empty")
        assert [place.fetch(n, repair=True).exit_code for n in (1, 2)] == [3, 0]
        assert place.fetch(3, repair=True).requests == 0
        assert dates(place.gaps(GapKind.ABSENT)) == [("NSE:INFY 60minute", days[0], days[-1])]


def test_failed_and_forgotten_windows_are_told_and_repaired(tmp_path: Path) -> None:
    """What was asked in vain, and what was never asked between, needs one request for both."""
    with sandbox() as kite:
        place = Place(kite, tmp_path, tradingsymbols=("INFY", "TCS"), max_attempts=1)
        place.fetch(first=date(2026, 9, 1), last=date(2026, 9, 10))
        place.fetch(first=date(2026, 10, 1))
        kite.fail("INFY", "503", 1)
        place.fetch(first=date(2026, 9, 11), last=date(2026, 9, 20))
        found = [gap for gap in place.gaps(GapKind.FAILED) if "INFY" in gap.series]
        assert (found[0].first, found[-1].last) == (date(2026, 9, 11), date(2026, 9, 30))
        assert "503" in found[0].why
        assert place.fetch(repair=True).exit_code == 0
        assert sorted(place.asked(), key=str) == [
            ("INFY", Window(date(2026, 9, 11), date(2026, 9, 30))),
            ("TCS", Window(date(2026, 9, 21), date(2026, 9, 30))),
        ]
        assert place.gaps(GapKind.FAILED) == []


def test_what_was_not_listed_and_what_is_held_are_no_holes(tmp_path: Path) -> None:
    """Before the first candle, and before the session is settled."""
    with sandbox() as kite:
        place = Place(kite, tmp_path, tradingsymbols=("INFY", "ETERNAL", "TCS"))
        place.settings = settings_for(
            kite, tmp_path / "s.duckdb", tradingsymbols=("INFY", "ETERNAL", "TCS")
        )
        kite.set_now(ist(2026, 11, 18, 12))
        assert fetch(kite, place.settings).exit_code == 0
        unlisted = place.gaps(GapKind.NOT_LISTED)
        held = place.gaps(GapKind.HELD)
        assert place.gaps(GapKind.HOLE, GapKind.SUSPENDED) == []
    assert [(gap.series, gap.last) for gap in unlisted] == [("NSE:ETERNAL day", date(2021, 7, 22))]
    assert {(gap.first, gap.sessions) for gap in held} == {(date(2026, 11, 18), 1)}


def test_what_is_delisted_lacks_nothing_afterwards(tmp_path: Path) -> None:
    """The dump no longer names it: its silence needs no explanation."""
    with sandbox() as kite:
        place = Place(kite, tmp_path, tradingsymbols=("INFY", "TCS", "RELIANCE*"))
        place.lose("RELIANCE", *(date(2026, 11, d) for d in range(9, 17)))
        assert place.fetch().exit_code == 3
        kite.delist("RELIANCE", at=ist(2026, 11, 17, 6))
        kite.set_now(EVENINGS[1])
        assert fetch(kite, place.settings).exit_code == 0
        assert place.gaps(GapKind.HOLE) == []
        assert dates(place.gaps(GapKind.NOT_LISTED)) == [
            ("NSE:RELIANCE day", date(2026, 11, 9), date(2026, 11, 15))
        ]


@pytest.mark.parametrize("since", [None, ist(2026, 11, 17, 6)])
def test_a_candle_that_vanishes_later_is_a_hole_too(tmp_path: Path, since: datetime | None) -> None:
    """The newest reply decides: what it no longer has is missing, whoever had it before."""
    with sandbox() as kite:
        place = Place(kite, tmp_path)
        place.lose("INFY", LOST, since=since)
        assert place.fetch().exit_code == (0 if since else 3)
        report = place.fetch(1, refetch=True)
        assert report.holes == [hole("NSE:INFY day", LOST, 1 if since else 2)]
