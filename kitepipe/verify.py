"""Prove the warehouse against staging: per series by count and checksum, then by candle.

No candle passes through Python unless it differs. What other staging files decided is theirs to
prove; what no ledger row covers is unproven. Replies that are not loaded yet are told as that, and
the dates that they decide are not compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from kitepipe.load_decide import Decision, group_bounds, groups
from kitepipe.load_parse import SeriesWork, decided, parse_each
from kitepipe.load_series import decide_work, read_known
from kitepipe.model import IST, Interval, Window
from kitepipe.plan import merge, subtract
from kitepipe.sessions import utc_bounds
from kitepipe.staging_candles import CandleParser, Part
from kitepipe.summary import Failure, VerifyReport
from kitepipe.warehouse import DatabaseManager
from kitepipe.warehouse_series import SeriesTransaction

# Enough to see what happened; the count is always exact.
_MOST_NAMED = 100
_EVER = Window(date(1900, 1, 1), date(2200, 1, 1))
_FIELDS = ("open", "high", "low", "close", "volume", "oi")


@dataclass(slots=True)
class Proof:
    """What was compared so far."""

    series: int = 0
    candles: int = 0
    differing: int = 0
    unloaded: int = 0
    unproven: int = 0
    deleted: int = 0
    failures: list[Failure] = field(default_factory=list)
    behind: list[Failure] = field(default_factory=list)  # series with unloaded replies
    foreign: list[str] = field(default_factory=list)
    seen: set[tuple[int, Interval]] = field(default_factory=set)

    def report(self) -> VerifyReport:
        """Return it as the verb's report."""
        more = f"{self.differing:,} candles differ; the first {_MOST_NAMED} are named"
        return VerifyReport(
            series=self.series,
            candles=self.candles,
            differing=self.differing,
            unloaded=self.unloaded,
            unproven=self.unproven,
            deleted=self.deleted,
            failures=self.failures + self.behind,  # those may be many
            foreign=self.foreign,
            warnings=[more] if self.differing > _MOST_NAMED else [],
        )


def verify_series(
    warehouse: DatabaseManager,
    parser: CandleParser,
    staging_id: str,
    work: SeriesWork,
    proof: Proof,
    *,
    delete_foreign: bool,
) -> None:
    """Compare one series and count into `proof`; writes nothing, unless `delete_foreign`."""
    with warehouse.series(work.instrument_id, work.interval) as transaction:
        known = read_known(transaction)
        decision = decide_work(known, staging_id, work)
        unloaded = {r for r in decision.replies if (staging_id, r.reply_id) not in known.keys}
        _tell_unloaded(work, len(unloaded), proof)
        deciding = [p for p in decision.parts if p.decides and p.reply not in unloaded]
        for group, _ in parse_each(parser, groups(deciding), work):
            _compare(transaction, parser, work, group, proof)
        _look_outside(warehouse, transaction, work, decision, proof, delete_foreign)
    proof.series += 1
    proof.seen.add((work.instrument_id, work.interval))


def verify_beyond(warehouse: DatabaseManager, proof: Proof) -> None:
    """Count and name the series that are in no staging file; they are left alone in any case."""
    for one in warehouse.unknown_series(proof.seen):
        proof.unproven += one.candles
        if len(proof.foreign) < _MOST_NAMED:
            dates = f"{one.first}..{one.last}, candles: {one.candles}"
            proof.foreign.append(f"{one.name} {one.interval} {dates}; of no staging file")


def _tell_unloaded(work: SeriesWork, replies: int, proof: Proof) -> None:
    proof.unloaded += replies
    if replies:
        missing = "1 reply is" if replies == 1 else f"{replies:,} replies are"
        why = f"{missing} staged and not loaded yet; run 'kitepipe load'"
        proof.behind.append(Failure(str(work.series), why))


def _compare(
    transaction: SeriesTransaction,
    parser: CandleParser,
    work: SeriesWork,
    group: Sequence[Part],
    proof: Proof,
) -> None:
    staged = parser.checksum()
    proof.candles += staged[0]
    if transaction.checksum(decided(group)) == staged:
        return
    existing = transaction.existing(*group_bounds(group))
    rows = parser.differences(existing, 1_000_000)
    named = rows[: max(0, _MOST_NAMED - proof.differing)]
    proof.differing += len(rows)
    proof.failures += [_named(work, row) for row in named]


def _look_outside(
    warehouse: DatabaseManager,
    transaction: SeriesTransaction,
    work: SeriesWork,
    decision: Decision,
    proof: Proof,
    delete_foreign: bool,
) -> None:
    """Name the rows on dates that nobody decides, and delete them where that is asked."""
    outside = subtract(_EVER, merge(decision.covered))
    counts = [warehouse.checksum(work.instrument_id, work.interval, w).candles for w in outside]
    unproven = [window for window, count in zip(outside, counts, strict=True) if count]
    proof.unproven += sum(counts)
    for window in unproven:
        if len(proof.foreign) >= _MOST_NAMED and not delete_foreign:
            break  # nothing is left to tell of them: they are counted
        at_us = transaction.existing(*utc_bounds(window.first, window.last))["at_us"]
        if len(proof.foreign) < _MOST_NAMED:
            first, last = (_instant(at).date() for at in (at_us.min(), at_us.max()))
            proof.foreign.append(f"{work.series} {first}..{last}, candles: {len(at_us)}")
        if delete_foreign:
            proof.deleted += transaction.delete_gone(at_us)
    if delete_foreign and unproven:
        transaction.finish({}, decision.epoch, recount=True)


def _instant(at_us: int) -> datetime:
    unix = datetime(1970, 1, 1, tzinfo=UTC)
    return (unix + timedelta(microseconds=int(at_us))).astimezone(IST)


def _named(work: SeriesWork, row: tuple[Any, ...]) -> Failure:
    at_us, change, *values = row
    staged, stored = values[: len(_FIELDS)], values[len(_FIELDS) :]
    what = f"{work.series} {_instant(at_us):%Y-%m-%d %H:%M}"
    if change == "new":
        return Failure(what, "staged, and missing in the warehouse; 'kitepipe replay' mends it")
    if change == "gone":
        return Failure(what, "in the warehouse, and not staged; 'kitepipe replay' mends it")
    told = ", ".join(
        f"{name} {there} in the warehouse, {here} staged"
        for name, here, there in zip(_FIELDS, staged, stored, strict=True)
        if here != there
    )
    return Failure(what, f"{told}; 'kitepipe replay' mends it")
