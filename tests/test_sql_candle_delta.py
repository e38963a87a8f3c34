"""The delta between staged candles and those of the warehouse, on a real DuckDB."""

import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitepipe.model import IST, Interval
from tests.candle_chain import FIRST, LAST, Columns, Picked, Rows, compare, define, parse, pick
from tests.candle_strategies import body

NAMES = ("at_us", "open", "high", "low", "close", "volume", "oi")

Values = tuple[tuple[float, float, float, float], int, int | None]

PRICES = st.tuples(st.just(10.0), st.just(12.5), st.just(9.5), st.sampled_from([10.0, 10.1]))
TABLES = st.dictionaries(
    st.dates(date(2023, 12, 30), date(2024, 2, 2)),
    st.tuples(PRICES, st.integers(0, 1), st.one_of(st.none(), st.integers(0, 1))),
    max_size=8,
)


@pytest.fixture(scope="module")
def cursor() -> Iterator[duckdb.DuckDBPyConnection]:
    """One cursor for the module: the chain replaces its own tables."""
    with duckdb.connect() as connection, connection.cursor() as cursor:
        define(cursor)
        yield cursor


def at_us(day: date) -> int:
    """Return 09:15 in India in UTC microseconds."""
    return int(datetime(day.year, day.month, day.day, 9, 15, tzinfo=IST).timestamp()) * 10**6


def reply(table: dict[date, Values]) -> str:
    """Write candles as Kite would."""
    return body(
        [
            json.dumps([f"{day}T09:15:00+0530", *prices, volume, oi])
            for day, (prices, volume, oi) in table.items()
        ]
    )


def columns(table: dict[date, Values]) -> Columns:
    """Lay candles out as the warehouse gives them."""
    rows = [(at_us(day), *prices, volume, oi) for day, (prices, volume, oi) in table.items()]
    found: Columns = {
        name: np.array([row[place] for row in rows], dtype=float if 0 < place < 5 else np.int64)
        for place, name in enumerate(NAMES[:-1])
    }
    filled = np.array([row[6] or 0 for row in rows], dtype=np.int64)
    found["oi"] = np.ma.masked_array(filled, mask=[row[6] is None for row in rows])
    return found


def rows_of(found: Columns) -> Rows:
    """Return columns as rows."""
    return list(zip(*(column.tolist() for column in found.values()), strict=True))


@given(staged=TABLES, stored=TABLES, last=st.dates(FIRST, LAST))
def test_delta_makes_the_table_equal(
    cursor: duckdb.DuckDBPyConnection,
    staged: dict[date, Values],
    stored: dict[date, Values],
    last: date,
) -> None:
    """The delta turns the table into what the reply says, and touches no date beyond it."""
    pick(cursor, [Picked(7, FIRST, LAST, LAST, reply(staged), [(FIRST, last)])])
    parse(cursor, Interval.MINUTE)

    delta = compare(cursor, columns(stored))

    said = {day: values for day, values in staged.items() if FIRST <= day <= last}
    held = {day: values for day, values in stored.items() if FIRST <= day <= last}
    new = sorted(said.keys() - held.keys())
    changed = sorted(day for day in said.keys() & held.keys() if said[day] != held[day])
    gone = sorted(held.keys() - said.keys())

    def rows(days: list[date]) -> Rows:
        values = [(day, *said[day]) for day in days]
        return [(7, at_us(day), *prices, volume, oi) for day, prices, volume, oi in values]

    assert rows_of(delta.new) == rows(new)
    assert rows_of(delta.changed) == rows(changed)
    assert delta.gone["at_us"].tolist() == [at_us(day) for day in gone]
    equal = len(said) - len(new) - len(changed)
    assert delta.counts == [(7, len(new), len(changed), len(gone), equal)]


def test_each_change_belongs_to_the_reply_that_decides_it(
    cursor: duckdb.DuckDBPyConnection,
) -> None:
    """A gone candle, too, is counted for the reply whose date it stood on."""
    good: Values = ((10.0, 12.5, 9.5, 10.0), 0, None)
    other: Values = ((10.0, 12.5, 9.5, 10.1), 0, None)
    days = [date(2024, 1, day) for day in (8, 9, 10, 11)]
    staged = reply({days[0]: good, days[2]: good, days[3]: good})
    pick(
        cursor,
        [
            Picked(1, FIRST, LAST, LAST, staged, [(FIRST, days[1])]),
            Picked(2, FIRST, LAST, LAST, staged, [(days[2], LAST)]),
            Picked(3, FIRST, LAST, LAST, staged, []),
        ],
    )
    parse(cursor, Interval.MINUTE)

    delta = compare(cursor, columns({days[1]: good, days[2]: other, days[3]: good}))

    assert delta.counts == [(1, 1, 0, 1, 0), (2, 0, 1, 0, 1), (3, 0, 0, 0, 0)]
    assert delta.gone["reply_id"].tolist() == [1]


def test_an_empty_reply_takes_candles_away(cursor: duckdb.DuckDBPyConnection) -> None:
    """A reply that decides dates without a candle leaves none there; a quarantined one, too."""
    good: Values = ((10.0, 12.5, 9.5, 10.0), 0, None)
    bad: Values = ((10.0, 9.0, 9.5, 10.0), 0, None)
    day = date(2024, 1, 10)
    for staged in ({}, {day: bad}):
        pick(cursor, [Picked(1, FIRST, LAST, LAST, reply(staged))])
        parse(cursor, Interval.MINUTE)

        delta = compare(cursor, columns({day: good, LAST + timedelta(1): good}))

        assert delta.gone["at_us"].tolist() == [at_us(day)]


def test_the_last_bit_of_a_price_is_a_change(cursor: duckdb.DuckDBPyConnection) -> None:
    """Prices are compared as doubles, without a tolerance, and oi 0 is not the same as none."""
    day, next_day = date(2024, 1, 10), date(2024, 1, 11)
    high = 12.5
    good: Values = ((10.0, high, 9.5, 10.0), 0, None)
    staged = {day: good, next_day: good}
    nearly: dict[date, Any] = {
        day: ((10.0, float(np.nextafter(high, 99)), 9.5, 10.0), 0, None),
        next_day: ((10.0, high, 9.5, 10.0), 0, 0),
    }
    pick(cursor, [Picked(1, FIRST, LAST, LAST, reply(staged))])
    parse(cursor, Interval.MINUTE)

    assert compare(cursor, columns(nearly)).counts == [(1, 0, 2, 0, 0)]
