"""DatabaseManager, the door to TimescaleDB or PostgreSQL; `warehouse*.py` alone import psycopg2.

One manager is one connection, for one thread. Outside `series()` every statement is its own
transaction. Errors leave as WarehouseError and its kin (exit 13), never with a password.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date, datetime
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import psycopg2
from psycopg2 import extensions
from psycopg2.extensions import ISOLATION_LEVEL_READ_COMMITTED

from kitepipe import sql, warehouse_instruments, warehouse_reads, warehouse_schema
from kitepipe.errors import Collision, SeriesRefused
from kitepipe.filters import InstrumentFilter
from kitepipe.model import IST, Instrument, Interval, Window, utc_now
from kitepipe.warehouse_copy import Columns
from kitepipe.warehouse_errors import connecting, place, read_dsn, translated
from kitepipe.warehouse_reads import Checksum, SeriesCoverage, Totals
from kitepipe.warehouse_rows import ReplyCounts
from kitepipe.warehouse_schema import Edition
from kitepipe.warehouse_series import SeriesTransaction, select_existing
from kitepipe.warehouse_upsert import Given, judge, upsert

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
            try:
                # READ COMMITTED: what is read after waiting for a lock must be what is there then.
                connection.set_session(
                    isolation_level=ISOLATION_LEVEL_READ_COMMITTED, autocommit=True
                )
                with connection.cursor() as cursor:
                    cursor.execute(sql.load("warehouse_begin_session"))
            except BaseException:
                connection.close()
                raise
        self._connection = connection

    def close(self) -> None:
        """Close the connection; what was not committed is gone."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg2.Error):  # a dead connection cannot be closed any better
                connection.close()

    def cancel(self) -> None:
        """End the statement that is under way, if one is: it fails there. For any thread."""
        connection = self._connection
        if connection is not None:
            with suppress(psycopg2.Error):
                connection.cancel()

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
        with translated(self.connection, "the ledger"):
            return warehouse_reads.reply_ids(self.connection, staging_id)

    def synced_dumps(self, staging_id: str) -> str:
        """Return the dumps as of which all instruments of a staging file stand here, or ""."""
        with translated(self.connection, "dumps"):
            return warehouse_reads.dumps(self.connection, staging_id)

    def sync_instruments(
        self,
        staging_id: str,
        rows: Iterable[Sequence[Any]],
        dumps: str = "",
        keys: Collection[int] | None = None,
    ) -> dict[int, int]:
        """Bring instruments' names into the warehouse; return instrument_key -> instrument_id.

        A row is one name by period: (instrument_key, valid_from, valid_to or None (exclusive),
        instrument_token, exchange_token, exchange, tradingsymbol, name, instrument_type, segment,
        expiry, strike, tick_size, lot_size, continuous). Keys are those of one staging file; in
        one call a key is continuous or not. What is known already is not written again. Where the
        rows are all that the file lists, `dumps` says as of which dumps. `keys` are those returned.
        """
        with translated(self.connection, f"instruments of staging {staging_id}"):
            return warehouse_instruments.sync(self.connection, rows, (staging_id, dumps), keys)

    def get_instruments_by_filter(self, wanted: InstrumentFilter) -> list[Instrument]:
        """Return the instruments that the filter lets through, under their newest names.

        By exchange and tradingsymbol; delisted and expired ones too, continuous series not.
        """
        with translated(self.connection, "instruments"):
            return warehouse_instruments.select(self.connection, wanted)

    def get_max_date_for_instrument(
        self, instrument: Instrument | int, interval: Interval | str
    ) -> date | None:
        """Return the IST date of the newest candle; None where there is none.

        `instrument` may be an instrument_id.
        """
        what = f"{instrument} {interval}"
        with translated(self.connection, what):
            found = self._instrument_id(instrument)
            if found is None:
                return None
            return warehouse_reads.max_date(self.connection, found, Interval(interval))

    def upsert_ohlcv_data(
        self,
        instrument: Instrument | int,
        interval: Interval | str,
        candles: Sequence[Given],
        oi: bool = True,
    ) -> ReplyCounts:
        """Insert or update candles of one series, in one transaction; return what became of each.

        Equal ones are not written, ones that break a rule are quarantined, none is deleted.
        Without `oi` the open interest in the table stays. An instrument that the warehouse does
        not know is entered, unless it is given as instrument_id.
        """
        kind = Interval(interval)
        judged = judge(candles, kind)
        with translated(self.connection, str(instrument)):
            found = self._instrument_id(instrument)
            if found is None and isinstance(instrument, Instrument):
                since = utc_now().astimezone(IST).date()
                found = warehouse_instruments.add(self.connection, instrument, since)
        assert found is not None  # an id is taken as it is
        for last_try in (False, True):
            try:
                with self.series(found, kind) as transaction:
                    return upsert(transaction, judged, oi=oi)
            except Collision:  # a foreign writer came between the look and the COPY
                if last_try:
                    raise
        raise AssertionError("not reached")

    def _instrument_id(self, instrument: Instrument | int) -> int | None:
        if isinstance(instrument, int):
            return instrument
        return warehouse_instruments.find(self.connection, instrument)

    def candles(
        self, instrument_id: int, interval: Interval, first_us: int, last_us: int
    ) -> Columns:
        """Return stored candles between two instants, both inclusive, by date; `oi` is masked."""
        key = {"instrument_id": instrument_id, "interval": interval.value}
        what = f"instrument {instrument_id} {interval}"
        with translated(self.connection, what), self.connection.cursor() as cursor:
            return select_existing(cursor, key, first_us, last_us)

    def checksum(self, instrument_id: int, interval: Interval, window: Window) -> Checksum:
        """Return count and integer checksum of a series in a window."""
        with translated(self.connection, f"instrument {instrument_id} {interval}"):
            return warehouse_reads.checksum(self.connection, instrument_id, interval, window)

    def unknown_series(
        self, known: Iterable[tuple[int, Interval]]
    ) -> list[warehouse_reads.UnknownSeries]:
        """Return the series with candles that no staging file was loaded of, but `known` ones."""
        with translated(self.connection, "candles of no staging file"):
            return warehouse_reads.unknown_series(self.connection, known)

    def series_coverage(self) -> list[SeriesCoverage]:
        """Return what the warehouse covers of each series it knows, by settled IST dates."""
        with translated(self.connection, "coverage"):
            return warehouse_reads.coverage(self.connection)

    def totals(self) -> Totals:
        """Return how many series, candles, replies and quarantined candles there are."""
        with translated(self.connection, "totals"):
            return warehouse_reads.totals(self.connection)

    def rebases(self) -> list[warehouse_reads.WarehouseRebase]:
        """Return when which series were seen re-based, oldest first."""
        with translated(self.connection, "re-bases"):
            return warehouse_reads.rebases(self.connection)

    def quarantine(self) -> list[tuple[Any, ...]]:
        """Return the candles in quarantine, newest reply first; columns as in its SQL file."""
        with translated(self.connection, "the quarantine"):
            return warehouse_reads.quarantine(self.connection)

    def other_staging_files(self, staging_id: str) -> int:
        """Return how many staging files but this one were loaded here."""
        with translated(self.connection, "the ledger"):
            return warehouse_reads.other_staging_files(self.connection, staging_id)

    def newest_candles(self, tradingsymbol: str, rows: int) -> list[tuple[Any, ...]]:
        """Return a symbol's newest candles, so many of each interval, for people to look at."""
        with translated(self.connection, tradingsymbol):
            return warehouse_reads.newest_candles(self.connection, tradingsymbol, rows)

    def setup(self) -> warehouse_reads.Setup:
        """Return what the database remembers of itself."""
        with translated(self.connection, "the setup"):
            return warehouse_reads.setup(self.connection)

    def claim(self, api_root: str, as_of: datetime | None = None) -> None:
        """Remember where what is loaded next is from, and that it was fetched by `as_of`, or all.

        UsageError where what the database holds is from elsewhere, or of another or later instant.
        """
        with translated(self.connection, "the setup"):
            warehouse_schema.claim(self.connection, api_root, as_of)

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
