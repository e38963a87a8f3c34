"""Questions to the warehouse that write nothing: coverage, checksums, totals."""

import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from psycopg2 import extensions

from kitepipe import sql
from kitepipe.model import IST, Instrument, Interval, Window
from kitepipe.plan import merge
from kitepipe.warehouse_copy import decode_integers


class Checksum(NamedTuple):
    """Candles of a series in one window; see warehouse_select_checksum.sql for the sum."""

    candles: int
    checksum: int


class Setup(NamedTuple):
    """What a database remembers of itself: the instant of `replay --as-of`, and its source."""

    as_of: datetime | None
    source: str | None


class UnknownSeries(NamedTuple):
    """Candles of a series of which no staging file was ever loaded; dates are IST."""

    name: str
    interval: str
    first: date
    last: date
    candles: int


class Totals(NamedTuple):
    """How much a warehouse holds."""

    series: int
    candles: int
    replies: int
    quarantined: int


class WarehouseRebase(NamedTuple):
    """One time that a series was seen re-based; `epoch` is an instant in UTC.

    `is_taken` tells whether the table stands on that base or a later one.
    """

    exchange: str
    tradingsymbol: str
    interval: str
    epoch: datetime
    ratio: float
    session: date
    is_taken: bool


@dataclass(frozen=True, slots=True)
class SeriesCoverage:
    """What the warehouse has of one series; `settled` are the IST dates that replies decided.

    `last_session` is the IST date of the newest candle.
    """

    instrument_id: int
    instrument: Instrument
    continuous: bool
    interval: Interval
    epoch: datetime
    last_success: datetime | None
    first: datetime | None
    last: datetime | None
    last_session: date | None
    settled: tuple[Window, ...]


def reply_ids(connection: extensions.connection, staging_id: str) -> npt.NDArray[np.int64]:
    """Return the reply_ids of one staging file that were loaded, in no order."""
    sink = io.BytesIO()
    with connection.cursor() as cursor:
        statement = sql.load("warehouse_copy_reply_ids")
        cursor.copy_expert(cursor.mogrify(statement, {"staging_id": staging_id}).decode(), sink)
    return decode_integers(sink.getbuffer())


def dumps(connection: extensions.connection, staging_id: str) -> str:
    """Return as of which dumps all instruments of a staging file are known, or ""."""
    with connection.cursor() as cursor:
        cursor.execute(sql.load("warehouse_select_dumps"), {"staging_id": staging_id})
        row = cursor.fetchone()
    return str(row[0]) if row else ""


def max_date(
    connection: extensions.connection, instrument_id: int, interval: Interval
) -> date | None:
    """Return the IST date of the newest candle of a series; None where there is none."""
    key = {"instrument_id": instrument_id, "interval": interval.value}
    with connection.cursor() as cursor:
        cursor.execute(sql.load("warehouse_select_max_date"), key)
        row = cursor.fetchone()
    return row[0] if row else None


def checksum(
    connection: extensions.connection, instrument_id: int, interval: Interval, window: Window
) -> Checksum:
    """Return count and checksum of a series in a window."""
    parameters = {
        "instrument_id": instrument_id,
        "interval": interval.value,
        "start": _midnight(window.first),
        "finish": _midnight(window.last + timedelta(days=1)),
    }
    ((candles, total),) = _rows(connection, "warehouse_select_checksum", parameters)
    return Checksum(candles, int(total))


def count_outside(
    connection: extensions.connection, key: dict[str, Any], windows: Iterable[Window]
) -> int:
    """Return how many candles a series has outside some windows that do not overlap."""
    bounds = [
        (_midnight(window.first), _midnight(window.last + timedelta(days=1)))
        for window in merge(windows)
    ]
    parameters = {
        "starts": ["-infinity", *(end for _, end in bounds)],
        "ends": [*(start for start, _ in bounds), "infinity"],
    }
    ((candles,),) = _rows(connection, "warehouse_count_series", key | parameters)
    return int(candles)


def unknown_series(
    connection: extensions.connection, known: Iterable[tuple[int, Interval]]
) -> list[UnknownSeries]:
    """Return the series of no staging file, apart from `known` ones, by instrument_id."""
    ids, intervals = [], []
    for instrument_id, interval in known:
        ids.append(instrument_id)
        intervals.append(interval.value)
    rows = _rows(
        connection, "warehouse_select_unknown_series", {"ids": ids, "intervals": intervals}
    )
    return [UnknownSeries(*row) for row in rows]


def coverage(connection: extensions.connection) -> list[SeriesCoverage]:
    """Return what is covered of every series, by instrument_id."""
    return [_coverage(row) for row in _rows(connection, "warehouse_select_coverage")]


def totals(connection: extensions.connection) -> Totals:
    """Return how much there is."""
    return Totals(*_rows(connection, "warehouse_select_totals")[0])


def rebases(connection: extensions.connection) -> list[WarehouseRebase]:
    """Return what was re-based, oldest first."""
    return [WarehouseRebase(*row) for row in _rows(connection, "warehouse_select_rebases")]


def quarantine(connection: extensions.connection) -> list[tuple[Any, ...]]:
    """Return the candles in quarantine, newest first, as warehouse_select_quarantine has them."""
    return _rows(connection, "warehouse_select_quarantine")


def other_staging_files(connection: extensions.connection, staging_id: str) -> int:
    """Return how many staging files but this one were loaded here."""
    rows = _rows(connection, "warehouse_select_foreign_staging", {"staging_id": staging_id})
    return int(rows[0][0])


def newest_candles(
    connection: extensions.connection, tradingsymbol: str, rows: int
) -> list[tuple[Any, ...]]:
    """Return a symbol's newest candles, so many of each interval, as the SQL file says."""
    parameters = {"tradingsymbol": tradingsymbol, "rows": rows}
    return _rows(connection, "warehouse_select_sample", parameters)


def setup(connection: extensions.connection) -> Setup:
    """Return the setup row."""
    rows = _rows(connection, "warehouse_select_setup")
    return Setup(*rows[0][1:]) if rows else Setup(None, None)


def _coverage(row: tuple[Any, ...]) -> SeriesCoverage:
    instrument_id, continuous, interval, epoch, success, first, last, session = row[:8]
    settled = tuple(Window(*ends) for ends in zip(row[8], row[9], strict=True))
    return SeriesCoverage(
        instrument_id,
        Instrument(*row[10:]),
        continuous,
        Interval(interval),
        epoch,
        success,
        first,
        last,
        session,
        settled,
    )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), IST).astimezone(UTC)


def _rows(
    connection: extensions.connection, name: str, parameters: dict[str, Any] | None = None
) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql.load(name), parameters)
        return cursor.fetchall()
