"""Which series are wanted, and how much is to be asked of each: tables of one cursor.

Planning is done for all series at once, in SQL; as objects they come when their turn is near.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from kitepipe.filters import InstrumentFilter
from kitepipe.model import Instrument, Interval, Series
from kitepipe.sql import load
from kitepipe.staging import Cursor


def want_instruments(cursor: Cursor, wanted: InstrumentFilter, *, continuous: bool = False) -> int:
    """Note what is listed and `wanted` names, in order, and return how many instruments that is.

    What expires comes first, the soonest before the rest; then by exchange and tradingsymbol.
    With `continuous`, one continuous series stands for the day candles of all contracts of a
    future (`NIFTY-CONT`; Kite has it for NFO and MCX), after the others.
    """
    predicate, parameters = wanted.duckdb()
    create = load("staging_create_wanted_instrument").format(predicate=predicate)
    cursor.execute(create, parameters | {"continuous": continuous})
    if continuous:
        futures = load("staging_insert_wanted_futures").format(predicate=predicate)
        cursor.execute(futures, parameters)
    return _count(cursor, "select count(*) from wanted_instrument")


def select_series(
    cursor: Cursor, intervals: Collection[Interval], *, oi: bool = False
) -> list[Series]:
    """Return all series that `want_instruments` noted, in that order, one per interval."""
    rows = cursor.execute(load("staging_select_wanted")).fetchall()
    return [one for row in rows for one in _series(row, intervals, oi)]


def select_unknown_series(
    cursor: Cursor, intervals: Collection[Interval], *, oi: bool
) -> list[Series]:
    """Return the wanted series that `note_known` noted nothing of."""
    rows = cursor.execute(
        load("staging_select_unknown_series"), {"intervals": [i.value for i in intervals]}
    ).fetchall()
    return [one for name, *row in rows for one in _series(row, [Interval(name)], oi)]


def select_planned_series(
    cursor: Cursor,
    intervals: Collection[Interval],
    *,
    oi: bool,
    after: int,
    most: int,
) -> tuple[list[Series], int]:
    """Return the series of the next instruments with something to ask, and the last one's place."""
    rows = cursor.execute(load("staging_select_planned"), {"after": after, "most": most}).fetchall()
    series = [one for _, *row in rows for one in _series(row, intervals, oi)]
    return series, rows[-1][0] if rows else after


def _series(row: Sequence[Any], intervals: Iterable[Interval], oi: bool) -> Iterator[Series]:
    continuous, stitched, key, snapshot, *columns = row
    one = Instrument(*columns)
    for interval in intervals:
        is_day = interval is Interval.DAY
        if is_day if continuous else not (is_day and stitched):
            yield Series(key, one, interval, snapshot, oi, continuous)


class Planned(NamedTuple):
    """What is planned of one interval, over all series; `probe` is an interval here."""

    interval: str
    series: int
    requests: int
    days: int
    first: date


def note_planned(cursor: Cursor, parameters: Mapping[str, object]) -> list[Planned]:
    """Work out how much is to be asked of each wanted series, and return the sums by interval.

    `want_instruments` and `note_known` come before; the parameters stand in the SQL file.
    """
    cursor.execute(load("staging_create_history_start"))
    cursor.execute(load("staging_create_planned"), dict(parameters))
    return [Planned(*row) for row in cursor.execute(load("staging_sum_planned")).fetchall()]


def planned_lines(
    cursor: Cursor, intervals: Collection[Interval]
) -> list[tuple[str, int, date, date]]:
    """Return each planned series by its name, with its requests and the dates they span."""
    parameters = {"intervals": [interval.value for interval in intervals]}
    return cursor.execute(load("staging_select_planned_lines"), parameters).fetchall()


def planned_instruments(cursor: Cursor) -> int:
    """Return of how many instruments something is to be asked."""
    return _count(cursor, "select count(distinct place) from planned")


def wanted_exchanges(cursor: Cursor) -> list[str]:
    """Return the exchanges of what is wanted."""
    rows = cursor.execute("select distinct exchange from wanted_instrument").fetchall()
    return [exchange for (exchange,) in rows]


def wanted_futures(cursor: Cursor) -> list[int]:
    """Return the keys of the continuous futures that are wanted."""
    query = "select instrument_key from wanted_instrument where continuous"
    return [key for (key,) in cursor.execute(query).fetchall()]


def _count(cursor: Cursor, query: str) -> int:
    [(number,)] = cursor.execute(query).fetchall()
    return int(number)
