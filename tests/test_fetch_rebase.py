"""A history that was re-based shows itself by a session that two periods share."""

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from kitepipe.model import Interval, Window
from kitepipe.sandbox import Sandbox
from kitepipe.summary import FetchReport
from tests.fetch_help import Watching, asked, coverage, fetch, rows, settings_for
from tests.sandbox_asking import ist, sandbox

WEDNESDAY, THURSDAY = date(2026, 11, 18), date(2026, 11, 19)
EVENING, NEXT_EVENING = ist(2026, 11, 18, 20), ist(2026, 11, 19, 20)
BEGIN = date(2015, 1, 1)


class Place:
    """A sandbox whose history of INFY was fetched on Wednesday evening; now it is Thursday's."""

    def __init__(self, kite: Sandbox, folder: Path, interval: str = "day") -> None:
        self.kite = kite
        self.interval = Interval(interval)
        self.settings = settings_for(
            kite,
            folder / "s.duckdb",
            tradingsymbols=("INFY",),
            candle_interval=(self.interval,),
        )
        kite.set_now(EVENING)
        assert self.fetch().exit_code == 0
        self.windows = len(asked(kite))
        kite.clear_log()
        kite.set_now(NEXT_EVENING)

    def fetch(self, **more: object) -> FetchReport:
        """Run the stage now."""
        return fetch(self.kite, self.settings, **more)  # type: ignore[arg-type]

    def asked(self) -> list[Window]:
        """Return what was asked since Wednesday."""
        return [one.window for one in asked(self.kite)]

    def rebases(self) -> list[tuple[float, date]]:
        """Return what staging tells of re-based histories."""
        return rows(self.settings.staging, "select ratio, session from rebase order by epoch")


@pytest.mark.parametrize(
    ("interval", "ratio"),
    [("day", 2), ("day", 1.02), ("60minute", 0.1), ("5minute", 5)],
)
def test_a_split_is_noticed_and_the_whole_series_asked_again(
    tmp_path: Path, interval: str, ratio: float
) -> None:
    """The ratio is recorded, and every date stands on the new base afterwards, once."""
    with sandbox() as kite:
        place = Place(kite, tmp_path, interval)
        kite.split("INFY", THURSDAY, ratio)
        report = place.fetch()
        windows = place.asked()
        assert place.fetch().requests == 0
    assert windows[0] == Window(WEDNESDAY, THURSDAY)
    [(noticed, session)] = place.rebases()
    assert report.rebased == [f"NSE:INFY {interval}: re-based by {noticed:.6g}, seen on 2026-11-18"]
    assert noticed == pytest.approx(1 / ratio, rel=1e-3)
    assert session == WEDNESDAY
    begin = min(window.first for window in windows)
    no_later_than = max(BEGIN, place.interval.earliest) + timedelta(days=1)  # the first session
    assert begin <= no_later_than
    assert max(w.last for w in windows[1:]) == WEDNESDAY - timedelta(days=1)
    assert len(windows) == report.windows_done == report.windows_planned
    found = rows(
        place.settings.staging,
        "select min(first_date), max(last_date), count(*), count(distinct epoch) from chunk "
        "where epoch > timestamp '1970-01-01'",
    )
    assert found == [(begin, THURSDAY, len(windows), 1)]


def test_the_shared_session_costs_no_request(tmp_path: Path) -> None:
    """The one window of a day's run begins a session earlier."""
    with sandbox() as kite:
        place = Place(kite, tmp_path)
        report = place.fetch()
    assert place.asked() == [Window(WEDNESDAY, THURSDAY)]
    assert (report.requests, report.rebased, place.rebases()) == (1, [], [])


@pytest.mark.parametrize(("at", "shared"), [((7, 59, 59), 0), ((8, 0, 1), 1)])
def test_a_run_of_the_same_period_shares_nothing(
    tmp_path: Path, at: tuple[int, int, int], shared: int
) -> None:
    """Between two 08:00 prices stand on one base; after that one session is asked again."""
    with sandbox() as kite:
        kite.set_now(EVENING)
        told = settings_for(kite, tmp_path / "s.duckdb", tradingsymbols=("INFY",))
        fetch(kite, told, max_requests=1)
        kite.set_now(ist(2026, 11, 19, *at))
        fetch(kite, told)
        times = Counter(
            one.window.first + timedelta(days=n)
            for one in asked(kite)
            for n in range(one.window.days)
        )
    assert len([day for day, count in times.items() if count > 1]) == shared
    assert len(times) >= (WEDNESDAY - BEGIN).days


def _correct(kite: Sandbox, **values: Any) -> None:
    kite.correct("INFY", "day", ist(2026, 11, 18), since=NEXT_EVENING, **values)


@pytest.mark.parametrize(
    "values", [{"close": 1234.5}, {"volume": 7.0}, {"high": 99_999.0, "open": 99_999.0}]
)
def test_a_corrected_candle_is_not_a_new_base(tmp_path: Path, values: dict[str, float]) -> None:
    """One price or a volume that changed is a correction: the newer reply decides that date."""
    with sandbox() as kite:
        place = Place(kite, tmp_path)
        _correct(kite, **values)
        report = place.fetch()
    assert (report.requests, report.rebased, place.rebases()) == (1, [], [])


@pytest.mark.parametrize("interval", ["60minute", "day"])
def test_a_candle_more_or_less_is_not_a_new_base(tmp_path: Path, interval: str) -> None:
    """Nor are the prices that are left."""
    with sandbox() as kite:
        place = Place(kite, tmp_path, interval)
        at = ist(2026, 11, 18, 9, 15) if interval == "60minute" else ist(2026, 11, 18)
        kite.correct("INFY", interval, at, gone=True)
        report = place.fetch()
    assert (report.requests, report.rebased, place.rebases()) == (1, [], [])


def test_a_price_that_really_halved_is_not_a_new_base(tmp_path: Path) -> None:
    """The same session is compared with itself: what the market did since does not matter."""
    with sandbox() as kite:
        place = Place(kite, tmp_path)
        kite.correct("INFY", "day", ist(2026, 11, 19), open=1.0, high=2.0, low=1.0, close=2.0)
        report = place.fetch()
    assert (report.requests, report.rebased, place.rebases()) == (1, [], [])


def test_other_series_are_not_asked_again(tmp_path: Path) -> None:
    """A split concerns one instrument, at all its intervals."""
    with sandbox() as kite:
        kite.set_now(EVENING)
        told = settings_for(
            kite, tmp_path / "s.duckdb", candle_interval=(Interval.DAY, Interval.MINUTE_60)
        )
        fetch(kite, told)
        kite.clear_log()
        kite.set_now(NEXT_EVENING)
        kite.split("TCS", THURSDAY, 2)
        report = fetch(kite, told)
        tcs, found = kite.token_of("TCS"), asked(kite)
    assert len(report.rebased) == 2
    assert len([one for one in found if one.token != tcs]) == 2 * 2
    assert len([one for one in found if one.token == tcs]) == 2 + 3 + 11


def test_a_new_epoch_that_was_cut_short_goes_on_without_comparing(tmp_path: Path) -> None:
    """What it has is known to stand on the new base; the old replies count no more."""
    with sandbox() as kite:
        place = Place(kite, tmp_path)
        kite.split("INFY", THURSDAY, 2)
        short = place.fetch(max_requests=2)
        assert (len(place.asked()), short.interrupted != "") == (2, True)
        rest = place.fetch()
        windows = place.asked()
        assert place.fetch().requests == 0
    assert (rest.rebased, len(place.rebases())) == ([], 1)
    assert len(windows) == 1 + 3
    assert coverage(place.settings.staging)["INFY", "day"] == [Window(BEGIN, THURSDAY)]


def test_a_second_split_begins_a_second_epoch(tmp_path: Path) -> None:
    """Compared with the newest reply of the present epoch, not with the one before."""
    with sandbox() as kite:
        place = Place(kite, tmp_path)
        kite.split("INFY", THURSDAY, 2)
        place.fetch()
        kite.set_now(ist(2026, 11, 20, 20))
        kite.split("INFY", date(2026, 11, 20), 5)
        place.fetch()
    ratios = [ratio for ratio, _ in place.rebases()]
    assert ratios == [pytest.approx(0.5, rel=1e-3), pytest.approx(0.2, rel=1e-3)]


def test_a_run_that_goes_on_over_eight_notices_it_at_once(tmp_path: Path) -> None:
    """The first window after 08:00 is preceded by a session that is known."""
    with sandbox() as kite:
        kite.set_now(EVENING)
        kite.split("INFY", THURSDAY, 2)
        told = settings_for(kite, tmp_path / "s.duckdb", tradingsymbols=("INFY",))
        night = Watching(lambda done: kite.set_now(ist(2026, 11, 19, 8, 5)))
        report = fetch(kite, told, night)
        windows = [one.window for one in asked(kite)]
    assert windows[1].days == 1
    assert windows[1].first in windows[0]
    assert len(report.rebased) == 1
    assert report.windows_done == report.windows_planned == night.planned == len(windows)
    epochs = rows(told.staging, "select epoch, count(*) from chunk group by 1 order by 1")
    assert [count for _, count in epochs] == [1, len(windows) - 1]


def test_without_the_shared_session_nothing_is_built_on_it(tmp_path: Path) -> None:
    """Where it cannot be had the series waits, and says so; the next run begins with it again."""
    with sandbox() as kite:
        place = Place(kite, tmp_path)
        older: dict[str, Any] = {
            "bootstrap_date": date(2009, 1, 1),
            "tradingsymbols": ("INFY", "TCS"),
        }
        place.settings = replace(place.settings, max_attempts=1, **older)
        kite.fail("INFY", "503", times=1)
        infy = kite.token_of("INFY")
        report = place.fetch()
        assert [one.window for one in asked(kite) if one.token == infy] == [
            Window(WEDNESDAY, THURSDAY)
        ]
        assert "2 more windows wait for it" in report.failures[0].why
        assert (report.exit_code, report.windows_done) == (3, report.windows_planned)
        kite.clear_log()
        assert place.fetch().exit_code == 0
        assert len(place.asked()) == 3
        assert place.asked()[0] == Window(WEDNESDAY, THURSDAY)
