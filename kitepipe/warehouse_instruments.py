"""Instruments in the warehouse: one id for life, whatever token and symbol it bears.

The rule of identity stands in warehouse_match_instruments.sql; this room orders its statements.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import date
from itertools import islice
from typing import Any

import psycopg2
from psycopg2 import extensions

from kitepipe import sql
from kitepipe.filters import InstrumentFilter
from kitepipe.model import Instrument
from kitepipe.warehouse_copy import CopyStream

_INSTRUMENTS_LOCK = 0x6B70_1D50
_LINES = 4096  # lines of COPY in memory at a time
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": None})
_STEPS = (
    "warehouse_create_newest",
    "warehouse_analyze_incoming",
    "warehouse_match_instruments",
    "warehouse_upsert_instruments",
    "warehouse_create_untold",
    "warehouse_merge_names",
    "warehouse_delete_names",
    "warehouse_upsert_names",
)


def sync(
    connection: extensions.connection,
    rows: Iterable[Sequence[Any]],
    of: tuple[str, str] = ("", ""),
    keys: Collection[int] | None = None,
) -> dict[int, int]:
    """Bring names into the warehouse; return the instrument_id of each key, or of those of `keys`.

    `of` is the staging file whose names these are, all of them, and as of which dumps.
    """
    with connection, connection.cursor() as cursor:
        cursor.execute(sql.load("warehouse_lock_instruments"), {"lock": _INSTRUMENTS_LOCK})
        cursor.execute(sql.load("warehouse_create_names"))
        _copy(cursor, rows)
        cursor.execute(sql.load("warehouse_find_mixed_key"))
        if cursor.fetchone():
            raise ValueError("sync_instruments: a key is both continuous and not; sync them apart")
        if all(of):
            told = dict(zip(("staging_id", "dumps"), of, strict=True))
            cursor.execute(sql.load("warehouse_upsert_dumps"), told)
        for step in _STEPS:
            cursor.execute(sql.load(step))
        cursor.execute(
            sql.load("warehouse_select_match"), {"keys": None if keys is None else list(keys)}
        )
        return dict(cursor.fetchall())


def _copy(cursor: extensions.cursor, rows: Iterable[Sequence[Any]]) -> None:
    """Send names to the server; an error of `rows` themselves is raised as it is."""
    failed: list[Exception] = []

    def given() -> Iterator[Sequence[Any]]:
        try:
            yield from rows
        except Exception as error:
            failed.append(error)
            raise

    try:
        cursor.copy_expert(sql.load("warehouse_copy_names"), CopyStream(_pieces(given())))
    except psycopg2.Error as error:
        raise (failed or [error])[0] from None


def select(connection: extensions.connection, wanted: InstrumentFilter) -> list[Instrument]:
    """Return the instruments that the filter lets through, by exchange and tradingsymbol."""
    predicate, parameters = wanted.postgresql()
    with connection.cursor() as cursor:
        query = sql.load("warehouse_select_instruments").format(predicate=predicate)
        cursor.execute(query, parameters)
        return [Instrument(*row) for row in cursor.fetchall()]


def find(connection: extensions.connection, instrument: Instrument) -> int | None:
    """Return the id of an instrument, by its contract or by any token it ever had."""
    with connection.cursor() as cursor:
        cursor.execute(sql.load("warehouse_find_instrument"), asdict(instrument))
        row = cursor.fetchone()
    return row[0] if row else None


def add(connection: extensions.connection, instrument: Instrument, since: date) -> int:
    """Enter an instrument as listed since an IST date; return its id."""
    return sync(connection, [_name(instrument, since)])[0]


def _name(instrument: Instrument, since: date) -> tuple[Any, ...]:
    return (
        0,
        since,
        None,
        instrument.instrument_token,
        instrument.exchange_token,
        instrument.exchange,
        instrument.tradingsymbol,
        instrument.name,
        instrument.instrument_type,
        instrument.segment,
        instrument.expiry,
        instrument.strike,
        instrument.tick_size,
        instrument.lot_size,
        False,
    )


def _pieces(rows: Iterator[Sequence[Any]]) -> Iterator[bytes]:
    lines = ("\t".join(map(_text, row)) + "\n" for row in rows)
    while piece := "".join(islice(lines, _LINES)):
        yield piece.encode()


def _text(value: Any) -> str:
    """Write one value of COPY's text format; str() of a float gives it back bit for bit."""
    if value is None:
        return "\\N"
    return value.translate(_ESCAPES) if isinstance(value, str) else str(value)
