"""The chain from raw replies to candles, statement by statement, as staging runs it for odd ones.

Where none is odd staging stores what was read: it is checked here that both give the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import duckdb
import numpy as np

from kitepipe.model import Interval
from kitepipe.sql import load
from kitepipe.staging_candles import offer_plain
from kitepipe.staging_plain import instants, read_replies

Columns = dict[str, Any]
Rows = list[tuple[Any, ...]]

FIRST, LAST = date(2024, 1, 1), date(2024, 1, 31)  # the window of a test's reply

# In this order, after plain_reply, a table that each run makes anew.
DEFINITIONS = (
    "picked",
    "segment",
    "cut_plain",
    "cut_json",
    "cut_typed",
    "plain_candle",
    "typed_candle",
    "parsed_any",
    "judgement",
)

_TABLES = """
create or replace temp table wanted_reply (
    reply_id bigint, window_first date, window_last date, settled_through date,
    decides_first date[], decides_last date[]
);
create or replace temp table staged_body (reply_id bigint, body varchar);
"""


@dataclass(frozen=True)
class Picked:
    """A reply to parse, and the dates that it decides."""

    reply_id: int
    first: date
    last: date
    settled_through: date | None
    body: str
    segments: Sequence[tuple[date, date]] | None = None  # None: its whole window


@dataclass(frozen=True)
class Parsed:
    """What the chain gives: columns of good candles, and rows by name."""

    candles: Columns
    quarantine: Rows  # reply_id, position, rule, raw
    counts: Rows  # reply_id, candles, held, superseded, quarantined, good

    @property
    def rules(self) -> dict[tuple[int, int], str]:
        """The rule that each bad candle breaks, by reply and position."""
        return {(reply_id, position): rule for reply_id, position, rule, _ in self.quarantine}

    @property
    def rows(self) -> Rows:
        """The good candles: at_us, open, high, low, close, volume, oi."""
        names = ("at_us", "open", "high", "low", "close", "volume", "oi")
        return list(zip(*(self.candles[name].tolist() for name in names), strict=True))


@dataclass(frozen=True)
class Delta:
    """What would change in the warehouse."""

    new: Columns
    changed: Columns
    gone: Columns
    counts: Rows  # reply_id, new, changed, gone, equal


def define(cursor: duckdb.DuckDBPyConnection) -> None:
    """Make what the statements stand on, once for a cursor: tables, macros, views."""
    cursor.execute(_TABLES)
    cursor.execute("set variable interval_minutes = 1")
    offer_plain(cursor, *read_replies({}))
    for name in DEFINITIONS:
        cursor.execute(load(f"staging_create_{name}"))


def pick(cursor: duckdb.DuckDBPyConnection, replies: Sequence[Picked]) -> None:
    """Fill the two tables that the chain starts from."""
    cursor.execute(_TABLES)
    for reply in replies:
        segments = [(reply.first, reply.last)] if reply.segments is None else reply.segments
        firsts, lasts = [first for first, _ in segments], [last for _, last in segments]
        asked = [reply.reply_id, reply.first, reply.last, reply.settled_through, firsts, lasts]
        cursor.execute("insert into wanted_reply values (?, ?, ?, ?, ?, ?)", asked)
        cursor.execute("insert into staged_body values (?, ?)", [reply.reply_id, reply.body])


def _check_the_same(judged: Columns, read: Columns) -> None:
    """What is plain, good and decided is stored as it was read: SQL would have given the same."""
    for name, column in judged.items():
        assert column.tolist() == read[name].tolist(), name


def parse(
    cursor: duckdb.DuckDBPyConnection, interval: Interval, *, typed_only: bool = False
) -> Parsed:
    """Run the chain over what was picked; `typed_only` closes the plain path."""
    bodies = cursor.execute("select reply_id, encode(body) from staged_body").fetchall()
    plain, columns = read_replies({} if typed_only else dict(bodies))
    offer_plain(cursor, plain, columns)
    cursor.execute(f"set variable interval_minutes = {interval.minutes}")
    for name in ("judged_candle", "repeated_candle", "quarantine"):
        cursor.execute(load(f"staging_create_{name}"))
    candles = in_time_order(cursor.execute(load("staging_select_candles")).fetchnumpy())
    cursor.register("candle", candles)
    ((odd,),) = cursor.execute(load("staging_select_any_odd")).fetchall()
    at_us = instants(columns["ist_us"], interval)
    if len(plain) == len(bodies) and not odd and len(set(at_us.tolist())) == len(at_us):
        _check_the_same(candles, in_time_order({**columns, "at_us": at_us}))
    return Parsed(
        candles,
        [row[:4] for row in cursor.execute(load("staging_select_quarantine")).fetchall()],
        cursor.execute(load("staging_select_candle_counts")).fetchall(),
    )


def run(
    cursor: duckdb.DuckDBPyConnection,
    text: str,
    interval: Interval = Interval.MINUTE,
    *,
    typed_only: bool = False,
) -> Parsed:
    """Run the chain over one settled reply for January 2024."""
    pick(cursor, [Picked(1, FIRST, LAST, LAST, text)])
    return parse(cursor, interval, typed_only=typed_only)


def in_time_order(columns: Columns) -> Columns:
    """Sort columns by at_us, which they nearly always are already."""
    at_us = columns["at_us"]
    if (at_us[1:] > at_us[:-1]).all():
        return columns
    order = np.argsort(at_us)
    return {name: column[order] for name, column in columns.items()}


def compare(cursor: duckdb.DuckDBPyConnection, existing: Mapping[str, Any]) -> Delta:
    """Compare the candles of the last `parse()` with those of the warehouse."""
    cursor.register("existing", dict(existing))
    cursor.execute(load("staging_create_candle_delta"))
    statement = load("staging_select_candle_delta")
    new, changed, gone = (
        cursor.execute(statement, {"change": change}).fetchnumpy()
        for change in ("new", "changed", "gone")
    )
    counts = cursor.execute(load("staging_select_delta_counts")).fetchall()
    cursor.unregister("existing")
    return Delta(new, changed, gone, counts)
