"""One series, one transaction: decide, parse, compare where anything is there, write, commit.

Parsing the next replies overlaps with the COPY of the last (load_parse.py).
"""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple, dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

from kitepipe.load_decide import (
    Decision,
    Known,
    decide_series,
    decided_windows,
    group_bounds,
    still_speaks,
)
from kitepipe.load_parse import Finding, SeriesWork, parsed_groups
from kitepipe.model import Window
from kitepipe.plan import Claim
from kitepipe.sessions import utc_bounds
from kitepipe.staging_candles import CandleParser, Columns, Parsed, Part, count_by_reply
from kitepipe.staging_series import FIRST_EPOCH, StagedReply
from kitepipe.warehouse import DatabaseManager
from kitepipe.warehouse_rows import LedgerEntry, QuarantinedCandle, ReplyCounts
from kitepipe.warehouse_series import SeriesTransaction

log = logging.getLogger(__name__)


@dataclass(slots=True)
class SeriesResult:
    """What became of a series: counts by reply, rules broken, replies that wait for an epoch.

    `dropped` are dates of other staging files that stand on an older price base.
    """

    replies: int = 0
    waiting: int = 0
    dropped: Sequence[Window] = ()
    counts: dict[int, dict[str, int]] = field(default_factory=dict)
    rules: Counter[str] = field(default_factory=Counter)

    def add(self, kind: str, by_reply: dict[int, int]) -> None:
        """Count candles of one kind, by reply."""
        for reply_id, count in by_reply.items():
            counts = self.counts.setdefault(reply_id, {})
            counts[kind] = counts.get(kind, 0) + count

    def total(self, kind: str) -> int:
        """Return the candles of one kind over all replies."""
        return sum(counts.get(kind, 0) for counts in self.counts.values())


def load_series(
    warehouse: DatabaseManager, parser: CandleParser, staging_id: str, work: SeriesWork
) -> SeriesResult:
    """Load one series in one transaction and return what became of it.

    Raises what `DatabaseManager.series` raises; then nothing of the series was written.
    """
    with warehouse.series(work.instrument_id, work.interval) as transaction:
        decision = decide_work(read_known(transaction), staging_id, work)
        transaction.note_rebases(work.rebases)  # one that waits too: other files load meanwhile
        result = SeriesResult(len(decision.replies), decision.waiting, decision.dropped)
        if decision.replies:
            _write(transaction, parser, staging_id, work, decision, result)
    return result


def read_known(transaction: SeriesTransaction) -> Known:
    """Return what the warehouse knows of a transaction's series."""
    ledger = transaction.ledger()
    claims = [
        Claim((entry.fetched_at, entry.staging_id, entry.reply_id), Window(entry.first, entry.last))
        for entry in ledger
        if entry.first and entry.last
    ]
    state = transaction.state()
    keys = frozenset(entry.key for entry in ledger)
    epoch = state.epoch if state else FIRST_EPOCH
    return Known(tuple(claims), keys, epoch, transaction.epochs())


def decide_work(known: Known, staging_id: str, work: SeriesWork) -> Decision:
    """Decide what to load of a series, given what the warehouse knows of it."""
    staged = (staging_id, work.replies, work.epochs, known, work.adopted)
    return decide_series(*staged, replay=work.replay)


def _write(
    transaction: SeriesTransaction,
    parser: CandleParser,
    staging_id: str,
    work: SeriesWork,
    decision: Decision,
    result: SeriesResult,
) -> None:
    _heal(transaction, decision)
    batches = _Batches(transaction, [_entry(staging_id, r, work.epochs) for r in decision.replies])
    _drop(transaction, decision, result)
    clean: list[tuple[str, int]] = []
    for one in parsed_groups(transaction, parser, work, decision.parts):
        group, parsed = one.group, one.parsed
        if one.finding is Finding.DIFFERENT:
            _write_delta(transaction, parser, group, batches, result)
        else:
            if one.finding is Finding.NEW:
                transaction.copy_new(parsed.candles, batches.of(parsed.candles))
            result.add(one.finding.value, count_by_reply(parsed.candles))
        result.add("held", parsed.held)
        keys = [(staging_id, part.reply.reply_id) for part in group]
        if bad := _still_bad(staging_id, parsed, group, decision):
            transaction.quarantine(bad, of=keys)
            result.rules.update(row.rule for row in bad)
            result.add("quarantined", Counter(row.reply_id for row in bad))
        else:
            clean += keys
    transaction.quarantine([], of=clean)
    # One that newer replies decide now is not parsed: it keeps the counts of its time.
    counts = {
        (staging_id, reply_id): ReplyCounts(**result.counts.get(reply_id, {}))
        for reply_id in {part.reply.reply_id for part in decision.parts} | result.counts.keys()
    }
    transaction.finish(counts, decision.epoch, recount=work.replay)


def _heal(transaction: SeriesTransaction, decision: Decision) -> None:
    """Take out of quarantine what newer replies decide now.

    So the quarantine is what one load of everything would leave there, in whatever order it came.
    Candles without a known date stand there while their reply decides any date.
    """
    if suspects := transaction.quarantined():
        windows = decided_windows(decision.counting)
        open_undated = {
            one.key: one.key in windows
            if one.settles
            else still_speaks(one.key, one.fetched_at, one.window_first, decision)
            for one in suspects
        }
        transaction.heal(open_undated, windows)


def _drop(transaction: SeriesTransaction, decision: Decision, result: SeriesResult) -> None:
    """Delete the candles of an older price base that nobody has fetched anew.

    They count as gone with the newest reply at work, as no reply of the new base has their dates.
    """
    newest = max(decision.replies, key=lambda reply: (reply.fetched_at, reply.reply_id)).reply_id
    for window in decision.dropped:
        at_us = transaction.existing(*utc_bounds(window.first, window.last))["at_us"]
        if gone := transaction.delete_gone(at_us):
            result.add("gone", {newest: gone})


def _still_bad(
    staging_id: str, parsed: Parsed, group: Sequence[Part], decision: Decision
) -> list[QuarantinedCandle]:
    """Return the bad candles, but for those of held replies after which newer ones came."""
    closed = {
        part.reply.reply_id
        for part in group
        if not part.decides
        and not still_speaks(
            (staging_id, part.reply.reply_id),
            *(part.reply.fetched_at, part.reply.window.first, decision),
        )
    }
    return [
        QuarantinedCandle(staging_id, *astuple(one))
        for one in parsed.bad
        if one.reply_id not in closed
    ]


def _write_delta(
    transaction: SeriesTransaction,
    parser: CandleParser,
    group: Sequence[Part],
    batches: "_Batches",
    result: SeriesResult,
) -> None:
    """Write only what differs from the table; the parser holds the parsed candles."""
    delta = parser.compare(transaction.existing(*group_bounds(group)))
    transaction.delete_gone(delta.gone["at_us"])
    transaction.update_changed(delta.changed, batches.of(delta.changed))
    transaction.copy_new(delta.new, batches.of(delta.new))
    for kind in ("new", "changed", "gone"):
        result.add(kind, count_by_reply(getattr(delta, kind)))
    result.add("equal", delta.equal)


class _Batches:
    """The ledger rows of the replies at work, and which of them each candle belongs to."""

    def __init__(self, transaction: SeriesTransaction, entries: Sequence[LedgerEntry]) -> None:
        claimed = sorted((key[1], batch) for key, batch in transaction.claim(entries).items())
        self._reply_ids = np.array([reply_id for reply_id, _ in claimed], dtype=np.int64)
        self._batch_ids = np.array([batch for _, batch in claimed], dtype=np.int64)

    def of(self, columns: Columns) -> Any:
        """Return the batch_id of each row."""
        return self._batch_ids[np.searchsorted(self._reply_ids, columns["reply_id"])]


def _entry(staging_id: str, reply: StagedReply, epochs: Sequence[datetime]) -> LedgerEntry:
    """Return a reply's ledger row: facts of staging alone, the same in whatever order it comes."""
    settled = reply.settled
    epoch = max((epoch for epoch in epochs if epoch <= reply.fetched_at), default=FIRST_EPOCH)
    return LedgerEntry(
        staging_id,
        reply.reply_id,
        reply.sha256,
        reply.fetched_at,
        reply.window.first,
        reply.window.last,
        settled.first if settled else None,
        settled.last if settled else None,
        epoch,
    )
