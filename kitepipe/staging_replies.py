"""Commit replies to staging and find their bodies again.

A commit costs the same at 100 and at 100,000 replies, and a body that is sealed is never written
again: see staging_schema.sql.
"""

import hashlib
import itertools
import logging
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import duckdb

from kitepipe.model import Body, Reply, Series, Window, utc_now
from kitepipe.sql import load
from kitepipe.staging import Staging, as_utc, naive, transaction
from kitepipe.staging_errors import translated
from kitepipe.staging_parquet import read_archived

log = logging.getLogger(__name__)

# Replies are of 1 kB (a night) to 1 MB (60 days of minutes): sealed by size, so that a pack of a
# seal is what a loader can take, and a night's little is not all fillers.
SEAL_BYTES = 16 * 1024 * 1024
_ALONE = nullcontext()
_AMONG = "reply_id in (select unnest($ids))"
_ONE_AS_BYTES = "select encode(body) as body from body_sealed where reply_id = ?"
_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Asked:
    """One window as it was asked, and after how many attempts it was over."""

    series: Series
    window: Window
    epoch: datetime
    asked_at: datetime
    attempts: int


@dataclass(frozen=True, slots=True)
class Rebase:
    """History seen on another price base: new prices are `ratio` times the old ones."""

    ratio: float
    session: date


class ReplyWriter:
    """The writer's hand: commits replies and failures, seals bodies. For one thread."""

    def __init__(
        self,
        staging: Staging,
        seal_bytes: int = SEAL_BYTES,
        *,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._path, self._seal_bytes, self._clock = staging.path, seal_bytes, clock
        self._cursor = staging.cursor()
        self.seals = 0
        next_chunk, next_reply, self._open_bytes, self._newest = self._resume()
        # Taken before a commit, never given back: an interrupt right after it spoils no number.
        self._chunk_ids, self._reply_ids = itertools.count(next_chunk), itertools.count(next_reply)

    def __enter__(self) -> "ReplyWriter":
        return self

    def __exit__(self, *exc: object) -> None:
        self._cursor.close()

    def stamped(self, reply: Reply) -> Reply:
        """Return the reply as fetched after all that is staged, whatever the machine's clock says.

        Of two replies the later one decides, also where the clock was set back between them.
        """
        self._newest = max(reply.fetched_at, self._newest + timedelta(microseconds=1))
        return replace(reply, fetched_at=self._newest)

    def commit(
        self, asked: Asked, reply: Reply, settled_through: date, rebase: Rebase | None = None
    ) -> int:
        """Put a reply on disk, body and all, and return its id.

        With `rebase`, the series' new epoch begins with this very reply, in the same commit.
        """
        reply_id, body = next(self._reply_ids), reply.body.encode()
        settled = (day for day in reversed(reply.contents.dates) if day <= settled_through)
        with translated(self._path), transaction(self._cursor) as cursor:
            epoch = reply.fetched_at if rebase else asked.epoch
            cursor.execute(
                load("staging_insert_reply"),
                {
                    "reply_id": reply_id,
                    "chunk_id": self._insert_chunk(cursor, asked, epoch, None),
                    "sha256": hashlib.sha256(body).hexdigest(),
                    "bytes": len(body),
                    "http_date": naive(reply.http_date),
                    "fetched_at": naive(reply.fetched_at),
                    "rows": reply.contents.rows,
                    "first_candle": reply.contents.first_candle,
                    "last_candle": next(iter(reply.contents.newest_sessions), None),
                    "last_settled_candle": next(settled, None),
                    "settled_through": settled_through,
                    "dates": list(reply.contents.dates),
                    "candles": list(reply.contents.candles),
                },
            )
            cursor.execute("insert into body_open values (?, ?)", [reply_id, reply.body])
            if rebase:
                self._insert_rebase(cursor, asked.series, epoch, rebase, reply_id)
        self._open_bytes += len(body)
        if self._open_bytes >= self._seal_bytes:
            self._seal()
        return reply_id

    def commit_failure(self, asked: Asked, error: str) -> None:
        """Remember that a window was asked in vain, and why."""
        with translated(self._path), transaction(self._cursor) as cursor:
            self._insert_chunk(cursor, asked, asked.epoch, error)

    def _insert_chunk(
        self, cursor: duckdb.DuckDBPyConnection, asked: Asked, epoch: datetime, error: str | None
    ) -> int:
        series, instrument = asked.series, asked.series.instrument
        chunk_id = next(self._chunk_ids)
        cursor.execute(
            load("staging_insert_chunk"),
            {
                "chunk_id": chunk_id,
                "instrument_key": series.instrument_key,
                "instrument_token": instrument.instrument_token,
                "exchange": instrument.exchange,
                "tradingsymbol": instrument.tradingsymbol,
                "snapshot_id": series.snapshot_id,
                "interval": series.staged_as,
                "first_date": asked.window.first,
                "last_date": asked.window.last,
                "oi": series.oi,
                "continuous": series.continuous,
                "epoch": naive(epoch),
                "asked_at": naive(asked.asked_at),
                "attempts": asked.attempts,
                "error": error,
            },
        )
        return chunk_id

    def _insert_rebase(
        self,
        cursor: duckdb.DuckDBPyConnection,
        series: Series,
        epoch: datetime,
        rebase: Rebase,
        reply_id: int,
    ) -> None:
        cursor.execute(
            load("staging_insert_rebase"),
            {
                "instrument_key": series.instrument_key,
                "interval": series.staged_as,
                "continuous": series.continuous,
                "epoch": naive(epoch),
                "ratio": rebase.ratio,
                "session": rebase.session,
                "reply_id": reply_id,
            },
        )

    def _resume(self) -> tuple[int, int, int, datetime]:
        """Return the next chunk_id and reply_id, the bytes of open bodies, and the newest fetch.

        A file may be an older copy of itself, put back: then the warehouse knows replies that it
        does not, and a reply_id must never be given twice. So they begin with the microsecond.
        """
        [row] = self._cursor.execute(load("staging_select_counters")).fetchall()
        now_us = (self._clock() - _UNIX_EPOCH) // timedelta(microseconds=1)
        return int(row[0]), max(int(row[1]), now_us), int(row[2]), as_utc(row[3]) or _UNIX_EPOCH

    def _seal(self) -> None:
        """Move the open bodies to where they are not written again until they are archived."""
        with translated(self._path):
            with transaction(self._cursor) as cursor:
                seal_bodies(cursor, "body_open")
                cursor.execute("drop table body_open")
                cursor.execute(
                    "create table body_open (reply_id bigint not null, body varchar not null)"
                )
            self._open_bytes = 0
            self._checkpoint()
        self.seals += 1

    def _checkpoint(self) -> None:
        """Write the log into the file; a reader in the way puts it off to the next seal."""
        try:
            self._cursor.execute("checkpoint")
        except duckdb.TransactionException as error:
            log.debug("checkpoint put off: %s", error)


def seal_bodies(cursor: duckdb.DuckDBPyConnection, source: str) -> None:
    """Put the bodies of a table, of about 16 MB in all, into row groups of their own."""
    cursor.execute(load("staging_insert_sealed_bodies").format(source=source))


def select_bodies(
    cursor: duckdb.DuckDBPyConnection,
    reply_ids: Sequence[int],
    open_bodies: AbstractContextManager[object] = _ALONE,
) -> None:
    """Fill the temp table `staged_body (reply_id, body)` with these replies' bodies.

    Only the packs and archive files that hold them are read. Raises ArchiveOutOfReach.
    `open_bodies` is held while open bodies are read.
    """
    insert = f"insert into staged_body select reply_id, body from {{}} where {_AMONG}"
    with transaction(cursor):
        cursor.execute("create or replace temp table staged_body (reply_id bigint, body varchar)")
        opened, others = _divided(cursor, set(reply_ids) - read_archived(cursor, reply_ids))
        if others:
            cursor.execute(insert.format("body_sealed"), {"ids": others})
        if opened:
            with open_bodies:
                cursor.execute(insert.format("body_open"), {"ids": opened})


def read_bodies(
    cursor: duckdb.DuckDBPyConnection,
    reply_ids: Sequence[int],
    open_bodies: AbstractContextManager[object] = _ALONE,
    *,
    one_by_one: bool = False,
) -> dict[int, Body]:
    """Return these replies' bodies, but for archived ones; `open_bodies` as for select_bodies.

    `one_by_one` is for those that have a pack of their own, 1 MB: the scan itself finds each, in
    0.13 us a candle, where for several at once there is a join behind it that copies them all, in
    0.20. Small ones that share a pack would unpack it for each.
    """
    select = f"select reply_id, encode(body) from {{}} where {_AMONG}"
    bodies: dict[int, Body] = {}
    with transaction(cursor):
        opened, others = _divided(cursor, reply_ids)
        if one_by_one:
            for reply_id in others:
                found = cursor.execute(_ONE_AS_BYTES, [reply_id]).fetchnumpy()["body"]
                bodies.update((reply_id, body) for body in found)
        elif others:
            rows = cursor.execute(select.format("body_sealed"), {"ids": others}).fetchall()
            bodies.update(rows)
        if opened:
            with open_bodies:
                rows = cursor.execute(select.format("body_open"), {"ids": opened}).fetchall()
            bodies.update(rows)
    return bodies


def read_archived_bodies(
    cursor: duckdb.DuckDBPyConnection, reply_ids: Sequence[int]
) -> dict[int, Body]:
    """Return these archived replies' bodies. Raises ArchiveOutOfReach."""
    select_bodies(cursor, reply_ids)
    return dict(cursor.execute("select reply_id, encode(body) from staged_body").fetchall())


def _divided(
    cursor: duckdb.DuckDBPyConnection, reply_ids: Collection[int]
) -> tuple[list[int], list[int]]:
    """Return whose bodies are open, and the others: sealed or archived.

    They are to be read in the same transaction: a seal in between would move them.
    """
    query = f"select reply_id from body_open where {_AMONG}"
    rows = cursor.execute(query, {"ids": list(reply_ids)}).fetchall()
    opened = [reply_id for (reply_id,) in rows]
    return opened, sorted(set(reply_ids).difference(opened))
