"""When a date is settled, by whose clock, and in which period prices stand on one base."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitepipe.model import IST
from kitepipe.sessions import (
    CLOSES,
    judged_at,
    may_be_muhurat,
    period_of,
    reply_settled_through,
    settled_through,
    settles_at,
    utc_bounds,
)
from tests.sandbox_asking import ist

MARGIN = timedelta(minutes=15)
FRIDAY, SATURDAY = date(2026, 11, 20), date(2026, 11, 21)
INSTANTS = st.integers(0, 34 * 365 * 86400).map(lambda s: ist(2001, 1, 1) + timedelta(seconds=s))
EXCHANGES = st.sampled_from([*{close.exchange for close in CLOSES}, "GLOBAL"])


@pytest.mark.parametrize(
    ("exchange", "day", "close"),
    [
        ("NSE", date(2026, 7, 31), "15:30"),
        ("NSE", date(2026, 8, 3), "15:35"),
        ("BSE", date(2026, 8, 3), "15:35"),
        ("NFO", date(2026, 8, 2), "15:30"),
        ("NFO", date(2026, 8, 3), "15:40"),
        ("BFO", FRIDAY, "15:40"),
        ("CDS", FRIDAY, "19:30"),
        ("MCX", FRIDAY, "23:55"),
        ("NSE", date(1995, 1, 2), "15:30"),
        ("NSE", date(2026, 11, 8), "21:00"),  # Muhurat in the evening
        ("MCX", date(2026, 11, 8), "23:55"),
    ],
)
def test_a_date_settles_at_its_close_and_a_margin(exchange: str, day: date, close: str) -> None:
    """The latest close that was in force on that date, whatever is in force today."""
    hour, minute = map(int, close.split(":"))
    expected = ist(day.year, day.month, day.day, hour, minute) + MARGIN
    assert settles_at(exchange, day, MARGIN) == expected


# Held or announced: 2013 to 2022 by a broker's table (angelone.in/blog, "The Diwali effect"), 2023
# to 2025 by press reports of the exchanges' circulars, 2026 by NSE's list of holidays.
MUHURAT = (
    *(date(2013, 11, 3), date(2014, 10, 23), date(2015, 11, 11), date(2016, 10, 30)),
    *(date(2017, 10, 19), date(2018, 11, 7), date(2019, 10, 27), date(2020, 11, 14)),
    *(date(2021, 11, 4), date(2022, 10, 24), date(2023, 11, 12), date(2024, 11, 1)),
    *(date(2025, 10, 21), date(2026, 11, 8)),
)


@pytest.mark.parametrize("day", MUHURAT)
def test_an_evening_session_is_never_settled_at_the_afternoons_close(day: date) -> None:
    """Its candles begin after that close, and grow."""
    assert settled_through("NSE", ist(day.year, day.month, day.day, 19, 30), MARGIN) < day


def test_three_days_a_year_wait_for_the_evening() -> None:
    """In each year those round one new moon, in few round a second one: no list is to be kept."""
    days = (date(1995, 1, 1) + timedelta(days=n) for n in range(105 * 365))
    found = Counter(day.year for day in days if may_be_muhurat(day))
    assert (min(found.values()), max(found.values())) == (3, 6)
    assert (len(found), sum(found.values()) / len(found) < 4) == (105, True)


def test_an_unknown_exchange_waits_for_midnight() -> None:
    """Nobody knows when it closes, but its date is over then."""
    assert settles_at("GLOBAL", FRIDAY, MARGIN) == ist(2026, 11, 21, 0, 15)


@pytest.mark.parametrize(
    ("exchange", "at", "expected"),
    [
        ("NSE", ist(2026, 11, 20, 15, 49, 59), date(2026, 11, 19)),
        ("NSE", ist(2026, 11, 20, 15, 50), FRIDAY),
        ("NFO", ist(2026, 11, 20, 15, 50), date(2026, 11, 19)),
        ("NSE", ist(2026, 11, 21, 0, 0), FRIDAY),
        ("MCX", ist(2026, 11, 21, 0, 9, 59), date(2026, 11, 19)),  # 23:55 and 15 minutes
        ("MCX", ist(2026, 11, 21, 0, 10), FRIDAY),
        ("GLOBAL", ist(2026, 11, 21, 0, 14), date(2026, 11, 19)),
        ("GLOBAL", ist(2026, 11, 21, 0, 15), FRIDAY),
    ],
)
def test_the_last_settled_date_turns_with_the_close(
    exchange: str, at: datetime, expected: date
) -> None:
    """To the second, and the margin may reach over midnight."""
    assert settled_through(exchange, at, MARGIN) == expected


@given(EXCHANGES, INSTANTS, st.integers(0, 1440).map(lambda m: timedelta(minutes=m)))
def test_what_is_settled_stays_settled(exchange: str, at: datetime, margin: timedelta) -> None:
    """The last settled date is the newest whose close has passed, and time never takes it back."""
    last = settled_through(exchange, at, margin)
    assert settles_at(exchange, last, margin) <= at
    assert settles_at(exchange, last + timedelta(days=1), margin) > at
    assert settled_through(exchange, at + timedelta(hours=7), margin) >= last


@pytest.mark.parametrize(
    ("at", "newest", "expected"),
    [
        (ist(2026, 11, 20, 20), FRIDAY, FRIDAY),
        (ist(2026, 11, 20, 20), date(2026, 11, 19), date(2026, 11, 19)),
        (ist(2026, 11, 20, 20), None, date(2026, 11, 19)),
        (ist(2026, 11, 20, 12), FRIDAY, date(2026, 11, 19)),
        (ist(2026, 11, 21, 20), FRIDAY, FRIDAY),
        (ist(2026, 11, 22, 0, 1), FRIDAY, SATURDAY),
        (ist(2026, 11, 8, 18, 30), date(2026, 11, 8), date(2026, 11, 7)),
        (ist(2026, 11, 8, 21, 15), date(2026, 11, 8), date(2026, 11, 8)),
    ],
)
def test_today_is_settled_only_where_it_has_a_candle(
    at: datetime, newest: date | None, expected: date
) -> None:
    """Without one it may be a holiday or a special evening: it settles when it is over."""
    assert reply_settled_through("NSE", at, MARGIN, newest) == expected


def test_kites_clock_judges_a_reply() -> None:
    """A machine that is a few minutes off changes nothing."""
    here = ist(2026, 11, 20, 15, 52)
    for seconds in (-300, -1, 0, 1, 300):
        there = here + timedelta(seconds=seconds)
        assert judged_at(there, here) == (there, False)


@given(INSTANTS, INSTANTS)
def test_the_earlier_of_two_clocks_counts_where_they_disagree(
    there: datetime, here: datetime
) -> None:
    """More than five minutes apart, or no Date at all, is to be reported."""
    far = abs(there - here) > timedelta(minutes=5)
    assert judged_at(there, here) == (min(there, here) if far else there, far)
    assert judged_at(None, here) == (here, True)


def test_a_period_lasts_from_eight_to_eight() -> None:
    """Kite re-bases history by about 08:00 IST, whatever the date in UTC is then."""
    assert period_of(ist(2026, 11, 20, 7, 59, 59)) == date(2026, 11, 19)
    assert period_of(ist(2026, 11, 20, 8)) == FRIDAY
    assert period_of(ist(2026, 11, 21, 2).astimezone(UTC)) == FRIDAY


@given(st.dates(date(1971, 1, 1), date(2100, 1, 1)), st.integers(0, 3000))
def test_ist_dates_are_microseconds_in_utc(first: date, days: int) -> None:
    """From midnight in India to the last microsecond before the next."""
    last = first + timedelta(days=days)
    lower, upper = utc_bounds(first, last)
    microsecond = timedelta(microseconds=1)
    unix = datetime(1970, 1, 1, tzinfo=UTC)
    assert (unix + lower * microsecond).astimezone(IST).isoformat() == f"{first}T00:00:00+05:30"
    end = (unix + upper * microsecond).astimezone(IST)
    assert end.isoformat() == f"{last}T23:59:59.999999+05:30"
