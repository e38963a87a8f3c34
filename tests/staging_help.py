"""What the tests of the staging file share: replies to commit, dumps to take, other processes."""

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from kitepipe.errors import StagingError
from kitepipe.model import IST, Instrument, Interval, Reply, Series, Window
from kitepipe.sql import load
from kitepipe.staging import Cursor, Staging, naive
from kitepipe.staging_inspect import inspect_body
from kitepipe.staging_instruments import take_snapshot
from kitepipe.staging_replies import SEAL_BYTES, Asked, Rebase, ReplyWriter
from kitepipe.staging_series import FIRST_EPOCH
from kitepipe.summary import SnapshotReport

API_ROOT = "http://127.0.0.1:9"
INFY = Instrument(408065, "NSE", "INFY", "INFOSYS", exchange_token=1594)
NOON = datetime(2026, 11, 23, 6, 30, tzinfo=UTC)  # 12:00 IST
HEADER = (
    "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,"
    "lot_size,instrument_type,segment,exchange"
)
Rows = list[tuple[Any, ...]]


def series(key: int = 1, interval: Interval = Interval.DAY, *, oi: bool = False) -> Series:
    """Return a series of INFY under the key `key`."""
    return Series(key, INFY, interval, 1, oi)


def candles(days: Iterable[date], price: float = 100.0) -> str:
    """Return a body with one day candle for each date, as Kite writes it."""
    rows = [[f"{day}T00:00:00+0530", price, price, price, price, 1] for day in days]
    return body(rows)


def body(rows: Sequence[object]) -> str:
    """Return a success reply around these candles."""
    return json.dumps({"status": "success", "data": {"candles": rows}}, separators=(",", ":"))


def reply(text: str, fetched_at: datetime = NOON) -> Reply:
    """Return what Kite answered, looked into."""
    return Reply(text, fetched_at, fetched_at, inspect_body(text))


def numbered(staging: Staging, seal_bytes: int = SEAL_BYTES) -> ReplyWriter:
    """Return a writer in the year in which reply_ids begin with 1."""
    return ReplyWriter(staging, seal_bytes, clock=lambda: datetime(1970, 1, 1, tzinfo=UTC))


def commit(
    writer: ReplyWriter,
    of: Series,
    window: Window,
    text: str,
    *,
    fetched_at: datetime = NOON,
    settled: date | None = None,
    rebase: Rebase | None = None,
) -> int:
    """Commit a reply to `window` that settled all of it, or what `settled` says."""
    asked = Asked(of, window, FIRST_EPOCH, fetched_at, 1)
    return writer.commit(asked, reply(text, fetched_at), settled or window.last, rebase)


def adopt(
    cursor: Cursor, of: Series, window: Window, at: datetime, session: date | None, text: str = ""
) -> None:
    """Note what the warehouse has of a series, as of an instant."""
    cursor.execute(
        load("staging_insert_warehouse_coverage"),
        {
            "instrument_key": of.instrument_key,
            "interval": of.interval.value,
            "continuous": of.continuous,
            "oi": of.oi,
            "first_date": window.first,
            "last_date": window.last,
            "first_candle": window.first,
            "last_candle": session,
            "fetched_at": naive(at),
            "body": text,
        },
    )


def stored(path: Path, query: str) -> Rows:
    """Look into the file as anybody would who opens it read-only."""
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(query).fetchall()


def contents(path: Path) -> dict[str, Rows]:
    """Return every row of every table and view, and the layout of bodies."""
    with duckdb.connect(str(path), read_only=True) as connection:
        names = connection.execute(
            "select table_name from information_schema.tables order by 1"
        ).fetchall()
        return {
            name: connection.execute(f"from {name} order by all").fetchall() for (name,) in names
        }


def row_groups(path: Path) -> set[int]:
    """Return how many rows the row groups of sealed bodies have."""
    query = (
        "select sum(count) from pragma_storage_info('body_sealed') "
        "where column_name = 'first_reply' and segment_type = 'BIGINT' group by row_group_id"
    )
    return {int(rows) for (rows,) in stored(path, query)}


def line(token: int, symbol: str, name: str = "", exchange: str = "NSE", **other: object) -> str:
    """Write one row of a dump; the exchange token is what the token says."""
    row = {
        "instrument_token": token,
        "exchange_token": token // 256,
        "tradingsymbol": symbol,
        "name": f'"{name}"' if name else "",
        "last_price": 0,
        "expiry": "",
        "strike": 0,
        "tick_size": 0.05,
        "lot_size": 1,
        "instrument_type": "EQ",
        "segment": exchange,
        "exchange": exchange,
    }
    return ",".join(str(value) for value in (row | other).values())


def dump(*lines: str) -> bytes:
    """Return a dump of these rows."""
    return "\n".join([HEADER, *lines, ""]).encode()


def dump_day(number: int) -> datetime:
    """Return 09:00 IST of a date: when that day's dump has just been made."""
    return datetime(2026, 3, 1, 9, tzinfo=IST) + timedelta(days=number)


def take(staging: Staging, day: int, *lines: str, exchange: str = "NSE") -> SnapshotReport:
    """Take a dump of these rows on a date."""
    return take_snapshot(staging, dump(*lines), exchange, dump_day(day))


def listed(staging: Staging) -> dict[str, int]:
    """Return the key of every tradingsymbol that is listed now."""
    query = (
        "select tradingsymbol, instrument_key from (from instrument qualify row_number() over "
        "(partition by exchange, instrument_token order by snapshot_id desc, gone) = 1) "
        "where not gone"
    )
    with staging.cursor() as cursor:
        return dict(cursor.execute(query).fetchall())


def refusal(path: Path, *, read: bool) -> StagingError:
    """Open a file that must be refused, and return how."""
    try:
        with Staging.read(path) if read else Staging.write(path, API_ROOT):
            raise AssertionError(f"{path} was opened")
    except StagingError as error:
        return error


PRELUDE = f"""
import os, sys, time
from pathlib import Path
from kitepipe.errors import StagingBusy
from kitepipe.holder import asking, is_awaited, reading, writing
from kitepipe.sql import load
from kitepipe.staging import Cursor, Staging, naive
API_ROOT = {API_ROOT!r}
def say(text):
    print(text, flush=True)
def hear():
    return sys.stdin.readline().strip()
"""


class Other:
    """Another process: it runs `code` after PRELUDE, says lines and hears lines."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.pid = process.pid

    def heard(self) -> str:
        """Return the next line that it says."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def tell(self, text: str = "go on") -> None:
        """Say a line to it."""
        assert self.process.stdin is not None
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def end(self) -> int:
        """Wait for its end and return how it ended."""
        return self.process.wait(timeout=30)


@contextmanager
def other(code: str, *arguments: object) -> Iterator[Other]:
    """Run `code` in a process of its own; it is killed at the end."""
    command = [sys.executable, "-c", PRELUDE + code, *map(str, arguments)]
    with ExitStack() as stack:
        process = stack.enter_context(
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
            )
        )
        stack.callback(process.kill)
        yield Other(process)
