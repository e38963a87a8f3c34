"""One transaction over one series: its lock, candles, ledger rows, quarantine and series row.

Everything between `DatabaseManager.series()`'s `with` and its end is committed once, or not at all.
"""

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
from psycopg2 import extensions
from psycopg2.extras import execute_values

from kitepipe import sql, warehouse_notes, warehouse_reads
from kitepipe.model import Interval, Window
from kitepipe.warehouse_copy import (
    Columns,
    candle_stream,
    concatenate,
    decode_existing,
    instant_stream,
)
from kitepipe.warehouse_reads import Checksum
from kitepipe.warehouse_rows import (
    NEVER_REBASED,
    LedgerEntry,
    QuarantinedCandle,
    QuarantinedReply,
    ReplyCounts,
    SeriesState,
    Tally,
    instant,
    microseconds,
)

# The namespace of kitepipe's advisory locks on series ("kp"), among all that use the database.
_SERIES_LOCKS = 0x6B70
_PAGE_ROWS = 131_072  # 11 MB of COPY in memory at a time


def select_existing(
    cursor: extensions.cursor, key: dict[str, Any], first_us: int, last_us: int
) -> Columns:
    """Read candles in order, page by page; `key` is instrument_id and interval."""
    statement = sql.load("warehouse_copy_existing")
    pages: list[Columns] = []
    while not pages or len(pages[-1]["at_us"]) == _PAGE_ROWS:
        start = int(pages[-1]["at_us"][-1]) + 1 if pages else first_us
        bounds = {"first": instant(start), "last": instant(last_us), "rows": _PAGE_ROWS}
        sink = io.BytesIO()
        cursor.copy_expert(cursor.mogrify(statement, key | bounds).decode(), sink)
        pages.append(decode_existing(sink.getbuffer()))
    return concatenate(pages)


class SeriesTransaction:
    """The one writer of one series, while its transaction is open."""

    def __init__(
        self,
        cursor: extensions.cursor,
        instrument_id: int,
        interval: Interval,
        *,
        recount: bool = False,
    ) -> None:
        self._cursor = cursor
        self._key: dict[str, Any] = {"instrument_id": instrument_id, "interval": interval.value}
        self._batches: dict[tuple[str, int], int] = {}
        self._fresh: set[tuple[str, int]] = set()
        self._newest: datetime | None = None
        self._before: SeriesState | None = None
        self._asked = False
        self._base: SeriesState | None = None
        self._tally = Tally(recount)
        self._summed: dict[Window, int] = {}  # candles by window, while nothing is written there
        place = list(Interval).index(interval)
        lock = {"space": _SERIES_LOCKS, "series": instrument_id * 8 + place}
        cursor.execute(sql.load("warehouse_lock_series"), lock)

    def state(self) -> SeriesState | None:
        """Return what was known when this transaction began; None: never loaded."""
        if not self._asked:
            self._cursor.execute(sql.load("warehouse_select_series"), self._key)
            row = self._cursor.fetchone()
            self._before, self._asked = SeriesState(*row) if row else None, True
        return self._before

    def ledger(self) -> list[LedgerEntry]:
        """Return every reply that was loaded into this series, in no order."""
        self._cursor.execute(sql.load("warehouse_select_ledger"), self._key)
        return [LedgerEntry(*row) for row in self._cursor.fetchall()]

    def has_rows(self, first_us: int, last_us: int) -> bool:
        """Tell whether the table has any candle between two instants, both inclusive."""
        bounds = {"first": instant(first_us), "last": instant(last_us)}
        self._cursor.execute(sql.load("warehouse_probe_candles"), self._key | bounds)
        found = self._cursor.fetchone()
        if found:
            self._doubt(microseconds(found[0]), microseconds(found[0]))
        return found is not None

    def existing(self, first_us: int, last_us: int) -> Columns:
        """Return the candles between two instants, both inclusive, by date; `oi` is masked."""
        self._summed.clear()  # what is read now may be more than was counted
        columns = select_existing(self._cursor, self._key, first_us, last_us)
        at_us = columns["at_us"]
        if len(at_us):
            self._doubt(int(at_us[0]), int(at_us[-1]))
        before = self.state()
        if before and all(first_us <= microseconds(end) <= last_us for end in _ends_of(before)):
            self._tally.recount |= len(at_us) != before.rows
        return columns

    def checksum(self, windows: Sequence[Window]) -> Checksum:
        """Return count and integer checksum of the candles on the dates of some windows."""
        key = (self._key["instrument_id"], Interval(self._key["interval"]))
        connection = self._cursor.connection
        sums = [warehouse_reads.checksum(connection, *key, window) for window in windows]
        self._summed.update(zip(windows, (s.candles for s in sums), strict=True))
        return Checksum(sum(s.candles for s in sums), sum(s.checksum for s in sums))

    def claim(self, entries: Sequence[LedgerEntry]) -> dict[tuple[str, int], int]:
        """Enter replies into the ledger and return the batch_id of each, by its key.

        A known one is written only where its dates or epoch are others now.
        """
        if not entries:
            return {}
        rows = [entry.row(**self._key) for entry in entries]
        statement = sql.load("warehouse_claim_replies")
        written = execute_values(self._cursor, statement, rows, page_size=1000, fetch=True)
        self._fresh.update((row[0], row[1]) for row in written if row[2])
        keys = {
            "staging_ids": [entry.staging_id for entry in entries],
            "reply_ids": [entry.reply_id for entry in entries],
        }
        self._cursor.execute(sql.load("warehouse_select_batches"), keys)
        claimed = {(row[0], row[1]): row[2] for row in self._cursor.fetchall()}
        self._batches.update(claimed)
        deciding = [entry.fetched_at for entry in entries if entry.first is not None]
        self._newest = max([*filter(None, [self._newest]), *deciding], default=None)
        return claimed

    def copy_new(self, columns: Mapping[str, npt.NDArray[Any]], batch_ids: Any) -> int:
        """COPY new candles into the table; raises Collision where one is there already.

        `columns`: at_us, open, high, low, close, volume, oi (masked where unknown);
        `batch_ids`: one for each row, or one for all.
        """
        at_us = columns["at_us"]
        if not len(at_us):
            return 0
        self._baseline()
        key = (self._key["instrument_id"], self._key["interval"])
        stream = candle_stream(columns, _spread(batch_ids, len(at_us)), key)
        self._cursor.copy_expert(sql.load("warehouse_copy_new"), stream, 1 << 20)
        self._tally.add(at_us)
        self._summed.clear()
        return len(at_us)

    def update_changed(self, columns: Mapping[str, npt.NDArray[Any]], batch_ids: Any) -> int:
        """Write candles over the ones at their instants, which are there; as `copy_new`."""
        rows = len(columns["at_us"])
        if not rows:
            return 0
        self._baseline()
        self._cursor.execute(sql.load("warehouse_create_changed"))
        stream = candle_stream(columns, _spread(batch_ids, rows))
        self._cursor.copy_expert(sql.load("warehouse_copy_changed"), stream, 1 << 20)
        self._cursor.execute(sql.load("warehouse_upsert_changed"), self._key)
        return rows

    def delete_gone(self, at_us: npt.NDArray[np.int64]) -> int:
        """Delete the candles at these instants and return how many there were."""
        if not len(at_us):
            return 0
        self._baseline()
        self._cursor.execute(sql.load("warehouse_create_gone"))
        self._cursor.copy_expert(sql.load("warehouse_copy_gone"), instant_stream(at_us), 1 << 20)
        bounds = {"first": instant(at_us.min()), "last": instant(at_us.max())}
        self._cursor.execute(sql.load("warehouse_delete_gone"), self._key | bounds)
        gone = self._cursor.rowcount
        self._tally.remove(at_us, gone)
        self._summed.clear()
        return gone

    def quarantine(
        self, rows: Iterable[QuarantinedCandle], of: Iterable[tuple[str, int]] = ()
    ) -> None:
        """Keep candles that broke a rule; replies in `of` keep no others than these."""
        warehouse_notes.quarantine(self._cursor, rows, list(of))

    def quarantined(self) -> list[QuarantinedReply]:
        """Return the replies of this series of which candles are in quarantine, in no order."""
        return warehouse_notes.quarantined(self._cursor, self._key)

    def heal(
        self,
        open_undated: Mapping[tuple[str, int], bool],
        windows: Mapping[tuple[str, int], Sequence[Window]],
    ) -> None:
        """Forget quarantined candles of dates that newer replies decide; see warehouse_notes."""
        warehouse_notes.heal(self._cursor, open_undated, windows)

    def note_rebases(self, rebases: Iterable[tuple[datetime, float, date]]) -> None:
        """Note when this series was re-based: (epoch, ratio, session); known ones stay."""
        warehouse_notes.note_rebases(self._cursor, self._key, rebases)

    def epochs(self) -> frozenset[datetime]:
        """Return when this series was re-based, as any staging file saw it."""
        self._cursor.execute(sql.load("warehouse_select_epochs"), self._key)
        return frozenset(epoch for (epoch,) in self._cursor.fetchall())

    def finish(
        self,
        counts: Mapping[tuple[str, int], ReplyCounts],
        epoch: datetime = NEVER_REBASED,
        *,
        recount: bool = False,
    ) -> SeriesState:
        """Write the claimed replies' counts and the series row; call it once, at the end.

        `recount` counts the candles anew (`replay`: the table itself may have been lost).
        """
        self._count_replies(counts)
        before = self._baseline()
        if recount or self._tally.recount:
            after = self._counted()
        else:
            after = self._tally.apply(before, self._ends)
        successes = [before.last_success, self._newest]
        newest = max((moment for moment in successes if moment), default=None)
        after = replace(after, epoch=epoch, last_success=newest)
        row = {
            "first": after.first,
            "last": after.last,
            "candles": after.rows,
            "epoch": epoch,
            "last_success": newest,
        }
        self._cursor.execute(sql.load("warehouse_upsert_series"), self._key | row)
        return after

    def _count_replies(self, counts: Mapping[tuple[str, int], ReplyCounts]) -> None:
        if not counts:
            return
        columns: dict[str, list[Any]] = {
            "batch_ids": [self._batches[key] for key in counts],
            "fresh": [key in self._fresh for key in counts],
        }
        for name in ReplyCounts.__dataclass_fields__:
            columns[name] = [getattr(count, name) for count in counts.values()]
        self._cursor.execute(sql.load("warehouse_update_ledger"), columns)

    def _baseline(self) -> SeriesState:
        """Know the series as it was before the first write: by its row, else by counting."""
        if self._base is None:
            self._base = self.state() or self._counted()
        return self._base

    def _counted(self) -> SeriesState:
        """Count the candles; those that were summed are as many as they were then.

        To count costs as much as to add up.
        """
        rest = warehouse_reads.count_outside(self._cursor.connection, self._key, self._summed)
        return SeriesState(*self._ends(), sum(self._summed.values()) + rest)

    def _ends(self) -> tuple[datetime | None, datetime | None]:
        self._cursor.execute(sql.load("warehouse_select_ends"), self._key)
        row = self._cursor.fetchone()
        assert row is not None  # two scalar subqueries always give a row
        return row[0], row[1]

    def _doubt(self, first_us: int, last_us: int) -> None:
        """Candles outside the known range are a foreign writer's: count anew at the end."""
        before = self.state()
        known = [microseconds(end) for end in _ends_of(before)] if before else []
        if before and (not known or first_us < known[0] or last_us > known[1]):
            self._tally.recount = True


def _ends_of(state: SeriesState) -> list[datetime]:
    return [end for end in (state.first, state.last) if end]


def _spread(batch_ids: Any, rows: int) -> npt.NDArray[np.int64]:
    """One batch_id for each row, whether one was given or all."""
    return np.broadcast_to(np.asarray(batch_ids, dtype=np.int64), (rows,))
