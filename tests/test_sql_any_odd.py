"""What is stored as it was read: good and decided to the last candle, or judged one by one."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitepipe.model import Interval
from kitepipe.sql import load
from kitepipe.staging_candles import offer_plain
from kitepipe.staging_plain import read_replies
from tests.candle_chain import Picked, define, pick
from tests.candle_strategies import body

DAYS = [date(2024, 1, number) for number in range(1, 32)]
GOOD = ["12", "13.5", "11", "12.05", "7"]
OPEN, HIGH, LOW, CLOSE = range(4)


@pytest.fixture(scope="module")
def cursor() -> Iterator[duckdb.DuckDBPyConnection]:
    """One cursor for the module: each test picks its own replies."""
    with duckdb.connect() as connection, connection.cursor() as cursor:
        define(cursor)
        yield cursor


def _candle(at: str, numbers: list[str]) -> str:
    return f'["{at}+0530",{",".join(numbers)}]'


def _is_odd(cursor: duckdb.DuckDBPyConnection, reply: Picked, interval: Interval) -> bool:
    """Tell what the statement says of one plain reply, and hold it to what judgement says."""
    pick(cursor, [reply])
    plain, columns = read_replies({reply.reply_id: reply.body.encode()})
    assert plain == [reply.reply_id]
    offer_plain(cursor, plain, columns)
    cursor.execute(f"set variable interval_minutes = {interval.minutes}")
    [(odd,)] = cursor.execute(load("staging_select_any_odd")).fetchall()
    judged = "select count(*) from judgement where rule is not null or fate <> 'kept'"
    [(not_good,)] = cursor.execute(judged).fetchall()
    assert odd == bool(not_good)
    return bool(odd)


REPLY = Picked(
    *(7, DAYS[4], DAYS[24], DAYS[20]),
    body([_candle(f"{day}T09:15:00", GOOD) for day in DAYS[8:17]]),
    [(DAYS[8], DAYS[16])],
)


@pytest.mark.parametrize(
    ("at", "interval"),
    [
        ("00:00", Interval.MINUTE),
        ("09:15", Interval.MINUTE_15),
        ("23:59", Interval.MINUTE),
        ("00:00", Interval.DAY),
        ("03:07", Interval.DAY),
    ],
)
def test_a_good_history_is_not_odd(
    at: str, interval: Interval, cursor: duckdb.DuckDBPyConnection
) -> None:
    """From the first date that the reply decides to its last, in one run of dates and in two."""
    candles = body([_candle(f"{day}T{at}:00", GOOD) for day in DAYS[8:17]])
    for runs in ([(DAYS[8], DAYS[16])], [(DAYS[8], DAYS[10]), (DAYS[11], DAYS[16])]):
        assert not _is_odd(cursor, replace(REPLY, body=candles, segments=runs), interval)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        *[(place, price) for place in (OPEN, CLOSE) for price in ("10.95", "13.55")],
        *[(HIGH, "12"), (LOW, "12.05"), (LOW, "0")],
    ],
)
def test_a_price_out_of_place_is_seen(
    place: int, value: str, cursor: duckdb.DuckDBPyConnection
) -> None:
    """One candle among good ones, off by a tick."""
    numbers = [*GOOD[:place], value, *GOOD[place + 1 :]]
    candles = [_candle(f"{DAYS[9]}T09:15:00", GOOD), _candle(f"{DAYS[9]}T09:16:00", numbers)]
    assert _is_odd(cursor, replace(REPLY, body=body(candles)), Interval.MINUTE)


@pytest.mark.parametrize(
    ("day", "runs", "settled"),
    [
        (DAYS[7], [(DAYS[8], DAYS[16])], DAYS[20]),  # before what it decides
        (DAYS[17], [(DAYS[8], DAYS[16])], DAYS[20]),  # after it
        (DAYS[10], [(DAYS[8], DAYS[9]), (DAYS[12], DAYS[16])], DAYS[20]),  # amid it
        (DAYS[10], [], DAYS[20]),  # it decides nothing
        (DAYS[3], [(DAYS[0], DAYS[16])], DAYS[20]),  # before its window
        (DAYS[25], [(DAYS[8], DAYS[30])], DAYS[30]),  # after it
        (DAYS[21], [(DAYS[8], DAYS[30])], DAYS[20]),  # not settled
        (DAYS[10], [(DAYS[8], DAYS[16])], None),  # nobody knows what is
    ],
)
def test_a_date_that_is_not_the_replys_to_decide_is_seen(
    day: date,
    runs: list[tuple[date, date]],
    settled: date | None,
    cursor: duckdb.DuckDBPyConnection,
) -> None:
    """The day beside the last one that is, at its first minute and its last."""
    moments = [("00:00", Interval.DAY), ("00:00", Interval.MINUTE), ("23:59", Interval.MINUTE)]
    for at, interval in moments:
        candles = body([_candle(f"{day}T{at}:00", GOOD)])
        reply = replace(REPLY, body=candles, segments=runs, settled_through=settled)
        assert _is_odd(cursor, reply, interval)


@pytest.mark.parametrize(("at", "minutes"), [("09:15:30", 1), ("09:17:00", 5), ("09:20:00", 60)])
def test_an_instant_beside_the_grid_is_seen(
    at: str, minutes: int, cursor: duckdb.DuckDBPyConnection
) -> None:
    """Of minutes, of five, of quarters of an hour."""
    candles = body([_candle(f"{DAYS[9]}T{at}", GOOD)])
    interval = next(one for one in Interval if one.minutes == minutes)
    assert _is_odd(cursor, replace(REPLY, body=candles), interval)


@given(
    days=st.lists(st.sampled_from(DAYS), max_size=3),
    prices=st.lists(st.integers(0, 3), min_size=4, max_size=4),
    window=st.tuples(*[st.sampled_from(DAYS)] * 2).map(sorted),
    run=st.tuples(*[st.sampled_from(DAYS)] * 2).map(sorted),
    settled=st.sampled_from([*DAYS, None]),
    at=st.sampled_from(["00:00", "09:15", "09:16", "23:59"]),
    interval=st.sampled_from([Interval.MINUTE, Interval.MINUTE_15, Interval.DAY]),
)
def test_it_says_what_judgement_says(
    cursor: duckdb.DuckDBPyConnection,
    days: list[date],
    prices: list[int],
    window: list[date],
    run: list[date],
    settled: date | None,
    at: str,
    interval: Interval,
) -> None:
    """Any prices, and dates anywhere between window, run and what is settled."""
    candles = body([_candle(f"{day}T{at}:00", [*map(str, prices), "1"]) for day in days])
    reply = Picked(1, window[0], window[1], settled, candles, [(run[0], run[1])])
    _is_odd(cursor, reply, interval)
