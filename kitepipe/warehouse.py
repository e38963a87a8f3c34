"""DatabaseManager, the door to TimescaleDB or PostgreSQL; `warehouse*.py` alone import psycopg2.

One manager is one connection, for one thread. Outside `series()` every statement is its own
transaction. Errors leave as WarehouseError and its kin (exit 13), never with a password.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import psycopg2
from psycopg2 import extensions
from psycopg2.extensions import ISOLATION_LEVEL_READ_COMMITTED

from kitepipe import sql, warehouse_schema
from kitepipe.errors import Collision, SeriesRefused
from kitepipe.model import Interval
from kitepipe.warehouse_copy import decode_integers
from kitepipe.warehouse_errors import connecting, place, read_dsn, translated
from kitepipe.warehouse_rows import LedgerEntry, QuarantinedCandle, ReplyCounts, SeriesState
from kitepipe.warehouse_schema import Edition
from kitepipe.warehouse_series import SeriesTransaction

__all__ = [
    "DatabaseManager",
    "LedgerEntry",
    "QuarantinedCandle",
    "ReplyCounts",
    "SeriesState",
    "SeriesTransaction",
]

_CONNECT_TIMEOUT_S = 10


class DatabaseManager:
    """One connection to the warehouse; use it in a `with`, or call `open()` and `close()`."""

    def __init__(self, dsn: str) -> None:
        """Take the DSN apart; UsageError where it is none. Nothing is connected yet."""
        self._parts = read_dsn(dsn)
        self._connection: extensions.connection | None = None
        self._collided: set[tuple[int, Interval]] = set()

    def __repr__(self) -> str:
        return f"DatabaseManager({place(self._parts)})"

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def open(self) -> None:
        """Connect; WarehouseError, with the place and advice, where that fails."""
        defaults: dict[str, Any] = {
            "connect_timeout": _CONNECT_TIMEOUT_S,
            "application_name": "kitepipe",
        }
        with connecting(self._parts):
            connection = psycopg2.connect(**(defaults | self._parts))
            # READ COMMITTED: what is read after waiting for a lock must be what is there then.
            connection.set_session(isolation_level=ISOLATION_LEVEL_READ_COMMITTED, autocommit=True)
            with connection.cursor() as cursor:
                cursor.execute(sql.load("warehouse_begin_session"))
        self._connection = connection

    def close(self) -> None:
        """Close the connection; what was not committed is gone."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg2.Error):  # a dead connection cannot be closed any better
                connection.close()

    @property
    def connection(self) -> extensions.connection:
        """Return the open connection, for the other warehouse rooms."""
        if self._connection is None:
            raise RuntimeError("DatabaseManager: open it first, with `with` or open()")
        return self._connection

    def apply_schema(self, columnstore: bool = False) -> tuple[Edition, str, bool]:
        """Make what is missing; return (edition, server, whether the tables were made now)."""
        with translated(self.connection, "the schema"):
            return warehouse_schema.apply(self.connection, columnstore)

    def edition(self) -> tuple[Edition, str]:
        """Return what this server is to kitepipe, and its versions in words."""
        with translated(self.connection, "the server's version"):
            return warehouse_schema.edition(self.connection)

    def check_schema(self) -> None:
        """Raise SchemaMissing, naming what is missing, where the tables are not ours."""
        with translated(self.connection, "the schema"):
            warehouse_schema.check(self.connection)

    def make_hypertable_chunks(self, first: date, last: date) -> int:
        """Make the hypertable chunks of these IST dates that are missing; return how many.

        A transaction that makes one locks out other loaders until it ends: each has its own.
        """
        with translated(self.connection, "hypertable chunks"):
            return warehouse_schema.make_chunks(self.connection, first, last)

    def ledger_reply_ids(self, staging_id: str) -> npt.NDArray[np.int64]:
        """Return the reply_ids of one staging file that were loaded here, in no order."""
        sink = io.BytesIO()
        with translated(self.connection, "the ledger"), self.connection.cursor() as cursor:
            statement = sql.load("warehouse_copy_reply_ids")
            cursor.copy_expert(cursor.mogrify(statement, {"staging_id": staging_id}).decode(), sink)
        return decode_integers(sink.getbuffer())

    @contextmanager
    def series(self, instrument_id: int, interval: Interval) -> Iterator[SeriesTransaction]:
        """Open the transaction of one series, alone among loaders; one commit, or a rollback.

        Raises ConnectionLost, Collision (start again, comparing) or SeriesRefused.
        """
        key = (instrument_id, interval)
        connection = self.connection
        what = f"instrument {instrument_id} {interval}"
        try:
            with (
                translated(connection, what, SeriesRefused),
                connection,
                connection.cursor() as cursor,
            ):
                transaction = SeriesTransaction(cursor, *key, recount=key in self._collided)
                yield transaction
        except Collision:
            self._collided.add(key)
            raise
        self._collided.discard(key)
