"""Holes against the sandbox: named, told from what is none, asked again, in the end believed."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from kitepipe import pipeline
from kitepipe.model import IST, Interval, Window
from kitepipe.progress import Silent
from kitepipe.sandbox import Sandbox
from kitepipe.settings import Settings
from kitepipe.summary import FetchReport, Gap, GapKind, StatusReport
from tests.fetch_help import SOME, asked, fetch, settings_for
from tests.load_help import candles, with_schema
from tests.sandbox_asking import ist, sandbox
from tests.servers import Look, Rows

BEGIN = date(2026, 9, 1)
LOST = date(2026, 10, 7)  # a Wednesday
EVENINGS = [ist(2026, 11, day, 20) for day in (16, 17, 18, 19)]


class Place:
    """A sandbox with some instruments, their history since September, and runs in the evening."""

    def __init__(self, kite: Sandbox, folder: Path, **more: Any) -> None:
        self.kite = kite
        self.settings = settings_for(kite, folder / "s.duckdb", bootstrap_date=BEGIN, **more)
        self.kite.set_now(EVENINGS[0])

    def lose(
        self,
        symbol: str,
        *days: date,
        interval: Interval = Interval.DAY,
        since: datetime | None = None,
    ) -> None:
        """Let all candles of these dates vanish from Kite's history."""
        step = timedelta(minutes=interval.minutes)
        for day in days:
            at = datetime.combine(day, time(0 if interval is Interval.DAY else 9), IST)
            at += timedelta(minutes=0 if interval is Interval.DAY else 15)
            while at.date() == day and at.hour < 16:
                self.kite.correct(symbol, interval, at, gone=True, since=since)
                at += step

    def fetch(self, evening: int = 0, **bounds: Any) -> FetchReport:
        """Run the stage on one of the evenings."""
        self.kite.set_now(EVENINGS[evening])
        self.kite.clear_log()
        return fetch(self.kite, self.settings, **bounds)

    def asked(self) -> list[tuple[str, Window]]:
        """Return what the last run asked: symbol and window."""
        names = {self.kite.token_of(symbol): symbol for symbol in self.settings.tradingsymbols}
        return [(names[one.token], one.window) for one in asked(self.kite)]

    def status(self) -> StatusReport:
        """Look, as `status --gaps`."""
        return pipeline.status(self.settings, gaps=True)

    def gaps(self, *kinds: GapKind) -> list[Gap]:
        """Return the gaps of some kinds."""
        return [gap for gap in self.status().gaps or [] if gap.kind in kinds]


def _hole(series: str, day: date, confirmed: int = 1, last: date | None = None) -> Gap:
    sessions = 1 + sum(
        (day + timedelta(n)).weekday() < 5 for n in range(1, ((last or day) - day).days + 1)
    )
    return Gap(series, GapKind.HOLE, day, last or day, sessions, confirmed, "no candle")


def _dates(gaps: Sequence[Gap]) -> list[tuple[str, date, date]]:
    return [(gap.series, gap.first, gap.last) for gap in gaps]


def test_a_run_that_leaves_a_hole_names_it_and_never_ends_with_0(tmp_path: Path) -> None:
    """Two of three traded, so that was a session; the search for it costs no request."""
    with sandbox() as kite:
        place = Place(kite, tmp_path)
        place.lose("INFY", LOST)
        report = place.fetch()
        assert (report.exit_code, report.requests, report.failures) == (3, 3, [])
        assert report.holes == [_hole("NSE:INFY day", LOST)]
        status = place.status()
        assert (status.exit_code, place.gaps(GapKind.HOLE)) == (3, report.holes)
        assert pipeline.status(place.settings).exit_code == 0  # nobody asked


def test_repair_asks_the_holes_and_three_days_that_agree_end_it(tmp_path: Path) -> None:
    """One request a day and no second one on a day; then it is absent at source, and no error.

    What is near enough goes into one window, and the window holds the session that the days share.
    """
    days = [LOST, LOST + timedelta(1), date(2026, 11, 11)]
    with sandbox() as kite:
        place = Place(kite, tmp_path)
        place.lose("INFY", *days)
        assert place.fetch().exit_code == 3
        assert place.fetch(repair=True).requests == 0
        for evening in (1, 2):
            report = place.fetch(evening, repair=True)
            window = Window(LOST, date(2026, 11, 16))
            assert place.asked() == [("INFY", window)]
            assert (report.exit_code, len(report.holes)) == ((3, 2) if evening == 1 else (0, 0))
            assert place.fetch(evening, repair=True).requests == 0
        assert place.fetch(3, repair=True).requests == 0
        status = place.status()
    absent = [gap for gap in status.gaps or [] if gap.kind is GapKind.ABSENT]
    assert [(gap.first, gap.sessions, gap.confirmed) for gap in absent] == [
        (LOST, 2, 3),
        (days[2], 1, 3),
    ]
    assert (status.exit_code, place.gaps(GapKind.HOLE)) == (0, [])


def test_a_hole_that_kite_fills_ends_as_a_later_download(
    tmp_path: Path, timescale_dsn: str, look: Look
) -> None:
    """After the repair the table holds what a single download after everything would bring."""
    with sandbox() as kite:
        place = Place(kite, tmp_path, dsn=with_schema(timescale_dsn))
        place.lose("INFY", LOST)
        filled, at = ist(2026, 11, 17, 12), ist(2026, 10, 7)
        kite.correct("INFY", "day", at, since=filled, open=1490, high=1510, low=1480, close=1500)
        place.fetch()
        pipeline.load(place.settings, Silent())
        assert place.fetch(1, repair=True).exit_code == 0
        assert (len(place.asked()), place.gaps(GapKind.HOLE)) == (1, [])
        assert pipeline.load(place.settings, Silent()).new == 1
        place.fetch(1)
        pipeline.load(place.settings, Silent())
        found = candles(look)
        other = settings_for(kite, tmp_path / "later.duckdb", bootstrap_date=BEGIN)
        fetch(kite, other)
        fresh = _only(other, timescale_dsn, look)
    assert found == fresh


def _only(settings: Settings, dsn: str, look: Look) -> Rows:
    """Return the table that only these replies fill."""
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "truncate kite_ohlcv_historic, kite_series, kite_load_ledger, kite_quarantine cascade"
        )
        connection.commit()
    pipeline.load(replace(settings, dsn=dsn), Silent())
    return candles(look)


def test_a_suspended_stock_does_not_turn_every_night_red(tmp_path: Path) -> None:
    """Red until three replies agree that it stopped; from then on its silence is a suspension."""
    codes = []
    with sandbox() as kite:
        place = Place(kite, tmp_path)
        place.lose("INFY", *(date(2026, 11, day) for day in (17, 18, 19, 20)))
        for day in (16, 17, 18, 19, 20, 23):  # a day without a candle settles when it is over
            kite.set_now(ist(2026, 11, day, 20))
            codes.append(fetch(kite, place.settings).exit_code)
        found = place.gaps(GapKind.HOLE, GapKind.ABSENT, GapKind.SUSPENDED)
    assert codes == [0, 0, 3, 3, 0, 0]
    assert [(gap.kind, gap.first.day, gap.confirmed) for gap in found] == [
        (GapKind.ABSENT, 17, 4),
        (GapKind.ABSENT, 18, 3),
        (GapKind.SUSPENDED, 19, 2),
        (GapKind.SUSPENDED, 20, 1),
    ]


def test_a_long_silence_is_a_suspension_at_once(tmp_path: Path) -> None:
    """Four weeks without a candle in any interval are no fault of a feed."""
    days = [date(2026, 10, 1) + timedelta(n) for n in range(31)]
    with sandbox() as kite:
        place = Place(kite, tmp_path)
        place.lose("INFY", *days)
        assert place.fetch().exit_code == 0
        (found,) = place.gaps(GapKind.HOLE, GapKind.SUSPENDED)
    assert (found.kind, found.series) == (GapKind.SUSPENDED, "NSE:INFY day")
    assert (found.first, found.last) == (date(2026, 10, 1), date(2026, 10, 30))


def test_a_silence_in_one_interval_alone_is_a_hole_however_long(tmp_path: Path) -> None:
    """It traded: the other interval says so. One instrument is enough to see that."""
    days = [date(2026, 10, 1) + timedelta(n) for n in range(31)]
    with sandbox() as kite:
        place = Place(
            kite, tmp_path, tradingsymbols=("INFY",), candle_interval=tuple(Interval)[-2:]
        )
        place.lose("INFY", *days)
        assert place.fetch().exit_code == 3
        found = place.gaps(GapKind.HOLE, GapKind.SUSPENDED)
    assert {gap.series for gap in found} == {"NSE:INFY day"}
    assert found[0].first == date(2026, 10, 1)


def test_one_instrument_alone_has_no_holes(tmp_path: Path) -> None:
    """Nobody else says that there was a session."""
    with sandbox() as kite:
        place = Place(kite, tmp_path, tradingsymbols=("INFY",))
        place.lose("INFY", LOST)
        assert place.fetch().exit_code == 0
        assert place.gaps(GapKind.HOLE, GapKind.SUSPENDED, GapKind.ABSENT) == []


def test_minutes_that_are_missing_in_a_full_series_are_a_hole(tmp_path: Path) -> None:
    """One candle less than usual, on a day on which others are whole."""
    with sandbox() as kite:
        place = Place(kite, tmp_path, candle_interval=(Interval.MINUTE_15,))
        kite.correct("TCS", "15minute", ist(2026, 10, 7, 11, 30), gone=True)
        report = place.fetch()
        assert place.fetch(1, repair=True).exit_code == 3
        assert len(place.asked()) == 1
    assert _dates(report.holes) == [("NSE:TCS 15minute", LOST, LOST)]
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
        assert _dates(place.gaps(GapKind.ABSENT)) == [("NSE:INFY 60minute", days[0], days[-1])]


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
        assert _dates(place.gaps(GapKind.NOT_LISTED)) == [
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
        assert report.holes == [_hole("NSE:INFY day", LOST, 1 if since else 2)]
