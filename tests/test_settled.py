"""Run at any minute: what still forms is held, counted and never loaded, and asked for again."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kitepipe.model import IST, Interval
from kitepipe.sandbox import Sandbox
from kitepipe.sandbox.tradingdays import trading_days
from kitepipe.sessions import settles_at
from tests.end_state_help import Course, differing, downloaded
from tests.fetch_help import Watching
from tests.marks import examples
from tests.sandbox_asking import ist, sandbox
from tests.servers import Template

INTERVALS = (Interval.DAY, Interval.MINUTE_60)
BY_MINUTES = (Interval.DAY, Interval.MINUTE)  # of every second course
HOLDS, ASKS, NOTHING = "holds", "asks", "nothing"


@pytest.fixture
def kite() -> Iterator[Sandbox]:
    """A sandbox whose clock each run moves."""
    with sandbox(other_rate_limit=1000, api_key="settled") as server:
        yield server


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=IST)


# Runs in order, whether each holds candles or asks anything at all, and the newest date loaded.
COURSES = {
    "a share with a closing auction": (
        "NSE:INFY",
        [
            ("2026-09-21 09:15:30", HOLDS, "2026-09-18"),
            ("2026-09-22 15:30:05", HOLDS, "2026-09-21"),
            ("2026-09-23 15:49:59", HOLDS, "2026-09-22"),
            ("2026-09-23 15:50:00", ASKS, "2026-09-23"),
            ("2026-09-24 09:14:00", NOTHING, "2026-09-23"),
            ("2026-09-25 00:05:00", ASKS, "2026-09-24"),
        ],
    ),
    "a share before the auctions began": (
        "NSE:INFY",
        [
            ("2026-07-30 15:44:59", HOLDS, "2026-07-29"),
            ("2026-07-31 05:59:00", ASKS, "2026-07-30"),
            ("2026-07-31 15:45:00", ASKS, "2026-07-31"),
            ("2026-08-03 15:45:00", HOLDS, "2026-07-31"),
            ("2026-08-04 05:59:00", ASKS, "2026-08-03"),
        ],
    ),
    "a derivative to 15:40": (
        "NFO:NIFTY26OCTFUT",
        [
            ("2026-09-21 15:36:00", HOLDS, "2026-09-18"),
            ("2026-09-22 15:51:00", HOLDS, "2026-09-21"),
            ("2026-09-23 15:54:59", HOLDS, "2026-09-22"),
            ("2026-09-23 15:55:00", ASKS, "2026-09-23"),
        ],
    ),
    "a commodity to 23:55": (
        "MCX:CRUDEOIL26MARFUT",
        [
            ("2026-02-09 23:29:00", HOLDS, "2026-02-06"),
            ("2026-02-10 23:59:59", HOLDS, "2026-02-09"),
            ("2026-02-11 00:05:00", NOTHING, "2026-02-09"),
            ("2026-02-11 00:10:00", ASKS, "2026-02-10"),
            ("2026-02-11 16:00:00", NOTHING, "2026-02-10"),
            ("2026-02-12 05:59:00", ASKS, "2026-02-11"),
        ],
    ),
    "a commodity to 23:30 in summer": (
        "MCX:CRUDEOIL26SEPFUT",
        [
            ("2026-08-11 23:29:30", HOLDS, "2026-08-10"),
            ("2026-08-12 23:45:00", HOLDS, "2026-08-11"),
            ("2026-08-13 00:30:00", ASKS, "2026-08-12"),
        ],
    ),
    "Muhurat in the afternoon, on a holiday": (
        "NSE:INFY",
        [
            ("2025-10-21 13:00:00", ASKS, "2025-10-20"),
            ("2025-10-21 14:00:00", NOTHING, "2025-10-20"),
            ("2025-10-21 21:14:00", NOTHING, "2025-10-20"),
            ("2025-10-21 21:15:00", ASKS, "2025-10-21"),
            ("2025-10-22 21:15:00", ASKS, "2025-10-21"),
        ],
    ),
    "Muhurat in the afternoon, while it lasts": (
        "NSE:INFY",
        [
            ("2025-10-21 14:00:00", HOLDS, "2025-10-20"),
            ("2025-10-21 16:00:00", NOTHING, "2025-10-20"),
            ("2025-10-22 05:59:00", ASKS, "2025-10-21"),
        ],
    ),
    "Muhurat in the evening": (
        "NSE:INFY",
        [
            ("2024-11-01 16:30:00", ASKS, "2024-10-31"),
            ("2024-11-01 18:30:00", NOTHING, "2024-10-31"),
            ("2024-11-02 11:00:00", ASKS, "2024-11-01"),
        ],
    ),
    "Muhurat in the evening of a Sunday": (
        "NSE:INFY",
        [("2023-11-12 18:40:00", HOLDS, "2023-11-10"), ("2023-11-13 08:30:00", ASKS, "2023-11-12")],
    ),
    "a Sunday with a session": (
        "NSE:INFY",
        [
            ("2026-01-31 12:00:00", ASKS, "2026-01-30"),
            ("2026-02-01 11:00:00", HOLDS, "2026-01-30"),
            ("2026-02-01 16:30:00", ASKS, "2026-02-01"),
        ],
    ),
    "a Saturday with two short sessions": (
        "NSE:INFY",
        [
            ("2024-03-02 10:30:00", HOLDS, "2024-03-01"),
            ("2024-03-02 15:45:00", ASKS, "2024-03-02"),
            ("2024-03-03 18:00:00", ASKS, "2024-03-02"),
        ],
    ),
}


@pytest.mark.parametrize("name", COURSES)
def test_runs_at_any_minute(
    name: str, kite: Sandbox, tmp_path: Path, warehouse_dsn: str, warehouse_template: Template
) -> None:
    """Each candle that the table ever holds is the final one; a date comes when it is settled."""
    symbol, runs = COURSES[name]
    first = _instant(runs[0][0]).date() - timedelta(days=8)
    intervals = BY_MINUTES if list(COURSES).index(name) % 2 else INTERVALS
    course = Course(
        *(kite, tmp_path, warehouse_dsn),
        bootstrap_date=first,
        tradingsymbols=(symbol,),
        candle_interval=intervals,
    )
    for at, what, newest in runs:
        report = course.run(_instant(at))
        held, asked = report.load.held > 0, course.requests
        expected = {HOLDS: (True, len(intervals)), ASKS: (False, len(intervals))}
        assert (held, asked) == expected.get(what, (False, 0)), at
        assert course.last_dates() == {newest}, at
        assert (report.load.changed, report.load.gone) == (0, 0), at
        assert (report.fetch.failures, report.load.failures) == ([], []), at
    assert course.asked_in_vain() == []
    final = downloaded(course, warehouse_template, tmp_path / "fresh")
    assert differing(course.seen[-1], final) == []
    assert [differing(seen, seen & final) for seen in course.seen] == [[]] * len(runs)


def test_today_is_loaded_on_the_day_itself(
    kite: Sandbox, tmp_path: Path, warehouse_dsn: str
) -> None:
    """11:00 and 16:30 of one day: max(date) + 1 and a skip would leave it for another day."""
    course = Course(
        kite, tmp_path, warehouse_dsn, bootstrap_date=date(2026, 10, 1), tradingsymbols=("INFY",)
    )
    morning = course.run(ist(2026, 10, 5, 11))
    assert (morning.load.held, course.last_dates()) == (1, {"2026-10-01"})  # Friday is a holiday
    evening = course.run(ist(2026, 10, 5, 16, 30))
    assert (evening.load.new, evening.load.held, course.requests) == (1, 0, 1)
    assert course.last_dates() == {"2026-10-05"}
    course.run(ist(2026, 10, 5, 23))
    assert course.requests == 0


def test_the_margin_is_a_setting(kite: Sandbox, tmp_path: Path, warehouse_dsn: str) -> None:
    """An hour after the close it is still held where the margin is two hours."""
    course = Course(
        *(kite, tmp_path, warehouse_dsn),
        bootstrap_date=date(2026, 10, 1),
        tradingsymbols=("INFY",),
        settle_margin_minutes=120,
    )
    assert course.run(ist(2026, 10, 5, 16, 35)).load.held == 1
    assert course.run(ist(2026, 10, 5, 17, 35)).load.new == 1


@pytest.mark.parametrize("symbol", ["MCX:CRUDEOIL26NOVFUT", "NSE:INFY"])
def test_a_run_that_spans_midnight(
    symbol: str, kite: Sandbox, tmp_path: Path, warehouse_dsn: str, warehouse_template: Template
) -> None:
    """A reply before midnight holds the date, one after it settles it."""
    course = Course(
        *(kite, tmp_path, warehouse_dsn),
        bootstrap_date=date(2026, 10, 1),
        tradingsymbols=(symbol,),
        candle_interval=INTERVALS,
    )
    kite.set_now(ist(2026, 10, 13, 23, 50))
    night = Watching(lambda done: kite.set_now(ist(2026, 10, 14, 0, 10)) if done == 2 else None)
    report = course.run(progress=night)
    assert (report.load.held > 0) == (symbol[:3] == "MCX")
    course.run(ist(2026, 10, 14, 0, 11))
    assert course.requests == (2 if symbol[:3] == "MCX" else 0)
    assert course.last_dates() == {"2026-10-13"}
    final = downloaded(course, warehouse_template, tmp_path / "fresh")
    assert (differing(course.seen[0], final) == []) == (symbol[:3] != "MCX")
    assert (differing(course.seen[1], final), course.asked_in_vain()) == ([], [])


def test_runs_on_holidays_and_weekends_ask_little(
    kite: Sandbox, tmp_path: Path, warehouse_dsn: str
) -> None:
    """A day without a candle is asked again until it is over, then never more."""
    course = Course(
        kite, tmp_path, warehouse_dsn, bootstrap_date=date(2026, 9, 1), tradingsymbols=("INFY",)
    )
    taken = []
    # Thursday, a holiday on Friday, a weekend, Monday
    for day, hour in [(1, 20), (1, 23), (2, 20), (2, 23), (3, 20), (4, 20), (5, 9), (5, 20)]:
        course.run(ist(2026, 10, day, hour))
        taken.append(course.requests)
    assert taken == [1, 0, 1, 1, 1, 1, 1, 1]
    assert (course.last_dates(), course.asked_in_vain()) == ({"2026-10-05"}, [])


@pytest.mark.parametrize(
    ("exchange", "market"), [("NSE", "NSE"), ("NSE", "NSE-FO"), ("NFO", "NFO"), ("MCX", "MCX")]
)
def test_no_session_outlasts_its_settlement(exchange: str, market: str) -> None:
    """Ordinary, short, special and evening sessions: each is over before its date is settled."""
    days = trading_days(market)
    unix = ist(1970, 1, 1)
    for day, shape in zip(days.day, days.shape, strict=True):
        over = unix + timedelta(days=int(day), minutes=int(days.shapes[shape][-1]) + 1)
        assert over <= settles_at(exchange, over.date(), timedelta(0))


SYMBOLS = st.sampled_from(["NSE:INFY", "NSE:GOLDBEES", "NFO:NIFTY26NOVFUT", "MCX:CRUDEOIL26NOVFUT"])
MINUTES = st.integers(0, 10 * 1440)


@settings(max_examples=examples(3), suppress_health_check=[HealthCheck.too_slow])
@given(
    symbols=st.lists(SYMBOLS, min_size=1, max_size=2, unique=True),
    intervals=st.lists(st.sampled_from(Interval), min_size=1, max_size=2, unique=True),
    minutes=st.lists(MINUTES, min_size=2, max_size=4, unique=True).map(sorted),
)
def test_whenever_it_runs_the_table_ends_the_same(
    symbols: list[str],
    intervals: list[Interval],
    minutes: list[int],
    warehouse_template: Template,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Ten days around a holiday, a weekend and a Muhurat: at any moment a part of the end state."""
    folder = tmp_path_factory.mktemp("law")
    begin = ist(2026, 10, 30)
    with sandbox(api_key="law") as kite, warehouse_template.database() as dsn:
        course = Course(
            *(kite, folder, dsn),
            bootstrap_date=date(2026, 10, 28),
            tradingsymbols=tuple(symbols),
            candle_interval=tuple(intervals),
        )
        for minute in minutes:
            course.run(begin + timedelta(minutes=minute))
        course.run(ist(2026, 11, 12, 12))
        final = downloaded(course, warehouse_template, folder / "fresh")
        assert course.asked_in_vain() == []
    assert differing(course.seen[-1], final) == []
    assert not any(differing(a, a & b) for a, b in pairwise(course.seen))
