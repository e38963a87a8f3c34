"""Stage 2: staged replies to the warehouse, one transaction per series.

What is loaded already is known by the warehouse's ledger alone; staging is only read. Replay is
the same with the ledger's memory left aside.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

import tenacity

from kitepipe.errors import Collision, SchemaMissing, SeriesRefused, WarehouseError
from kitepipe.load_decide import GROUP_BYTES
from kitepipe.load_series import SeriesResult, SeriesWork, load_series
from kitepipe.progress import Meter
from kitepipe.staging import Cursor, Staging
from kitepipe.staging_candles import CandleParser
from kitepipe.staging_series import StagedSeries, select_claims, select_epochs
from kitepipe.summary import Failure, LoadReport
from kitepipe.warehouse import DatabaseManager

log = logging.getLogger(__name__)
T = TypeVar("T")
InstrumentIds = dict[tuple[int, bool], int]  # by instrument_key and whether it is continuous

_RECONNECTS = 4  # after 1, 2 and 4 s: a server that restarts is back by then


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How a load goes: `dsn` of the warehouse, its number of connections at once."""

    dsn: str
    load_workers: int = 2
    replay: bool = False
    as_of: datetime | None = None
    sleep: Callable[[float], None] = time.sleep


@dataclass(slots=True)
class _Tally:
    """What is counted over all series."""

    series: int = 0
    replies: int = 0
    waiting: int = 0
    candles: dict[str, int] = field(default_factory=dict)
    rules: dict[str, int] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


class Loader:
    """Loads series of one staging file in several threads, each with a connection of its own.

    Use it in a `with`; `submit` bundles of series, then take the `report`.
    """

    def __init__(self, staging: Staging, options: LoadOptions, meter: Meter) -> None:
        self._staging, self._options, self._meter = staging, options, meter
        self._tally = _Tally()
        self._lock = threading.Lock()
        self._hands: queue.SimpleQueue[_Hand] = queue.SimpleQueue()
        self._futures: list[Future[None]] = []
        self._started = time.monotonic()
        self._stack = ExitStack()
        self._fatal: WarehouseError | None = None

    def __enter__(self) -> "Loader":
        with ExitStack() as stack:
            for _ in range(self._options.load_workers):
                warehouse = stack.enter_context(DatabaseManager(self._options.dsn))
                parser = CandleParser(self._staging.cursor())
                stack.callback(parser.close)
                self._hands.put(_Hand(warehouse, parser, self._options.sleep))
            self._executor = ThreadPoolExecutor(self._options.load_workers, "load")
            stack.callback(self._executor.shutdown, wait=True, cancel_futures=True)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def submit(self, series: Sequence[StagedSeries], ids: InstrumentIds) -> None:
        """Load these series as soon as a thread is free; `ids` name them there."""
        for bundle in bundles(series):
            self._futures.append(self._executor.submit(self._load, bundle, ids))

    def wait(self) -> None:
        """Wait until all that was submitted is done; raise what ended it, if anything did."""
        for future in self._futures:
            future.result()
        self._futures.clear()
        if self._fatal:
            raise self._fatal

    def report(self) -> LoadReport:
        """Return what was done so far."""
        tally = self._tally
        if tally.waiting:
            tally.warnings.append(
                f"{tally.waiting} replies wait: their series were re-based and are not fetched "
                "anew in full; the next fetch goes on with them"
            )
        candles: dict[str, Any] = {kind: tally.candles.get(kind, 0) for kind in _KINDS}
        return LoadReport(
            series=tally.series,
            replies=tally.replies,
            **candles,
            quarantine_rules=dict(sorted(tally.rules.items())),
            seconds=time.monotonic() - self._started,
            failures=tally.failures,
            warnings=tally.warnings,
        )

    def _load(self, bundle: Sequence[StagedSeries], ids: InstrumentIds) -> None:
        if self._fatal:
            return
        hand = self._hands.get()
        try:
            self._load_bundle(hand, bundle, ids)
        except SeriesRefused:
            raise
        except WarehouseError as error:
            self._fatal = error
        finally:
            self._hands.put(hand)

    def _load_bundle(
        self, hand: "_Hand", bundle: Sequence[StagedSeries], ids: InstrumentIds
    ) -> None:
        self._make_chunks(hand, bundle)
        options = self._options
        with self._staging.cursor() as cursor:
            bundled = works(cursor, bundle, ids, again=options.replay, as_of=options.as_of)
        if sum(series.bytes for series in bundle) <= GROUP_BYTES:
            hand.parser.keep_bodies([r.reply_id for work in bundled for r in work.replies])
        for work in bundled:
            self._load_one(hand, work)

    def _load_one(self, hand: "_Hand", work: SeriesWork) -> None:
        started = time.monotonic()
        try:
            result = hand.persist(
                load_series, hand.warehouse, hand.parser, self._staging.staging_id, work
            )
        except SeriesRefused as error:
            log.error("%s: %s", work.series, error)
            with self._lock:
                self._tally.failures.append(Failure(str(work.series), str(error)))
        else:
            self._count(work, result, time.monotonic() - started)
        self._meter.advance(1, str(work.series))

    def _count(self, work: SeriesWork, result: SeriesResult, seconds: float) -> None:
        totals = {kind: result.total(kind) for kind in _KINDS}
        totals["gone"] += result.void
        with self._lock:
            tally = self._tally
            tally.series += 1
            tally.replies += result.replies
            tally.waiting += result.waiting
            for kind, count in totals.items():
                tally.candles[kind] = tally.candles.get(kind, 0) + count
            for rule, count in result.rules.items():
                tally.rules[rule] = tally.rules.get(rule, 0) + count
        first = min((r.window.first for r in work.replies), default=None)
        last = max((r.window.last for r in work.replies), default=None)
        told = ", ".join(f"{count} {kind}" for kind, count in totals.items() if count)
        log.info(
            "%s %s..%s: %d windows, %s, %.2f s",
            *(work.series, first, last, result.replies, told or "nothing new", seconds),
        )

    def _make_chunks(self, hand: "_Hand", bundle: Sequence[StagedSeries]) -> None:
        """Make hypertable chunks ahead: who makes one in a load locks out the other loaders."""
        firsts = [s.first_candle for s in bundle if s.first_candle]
        lasts = [s.last_candle for s in bundle if s.last_candle]
        if firsts and lasts:
            with self._lock:
                hand.persist(hand.warehouse.make_hypertable_chunks, min(firsts), max(lasts))


def works(
    cursor: Cursor,
    series: Sequence[StagedSeries],
    ids: InstrumentIds,
    *,
    again: bool = False,
    as_of: datetime | None = None,
) -> list[SeriesWork]:
    """Return what is to be done for each series: its replies and epochs, and its place."""
    claims = select_claims(cursor, [one.key for one in series], as_of)
    epochs = select_epochs(cursor, as_of)
    return [
        SeriesWork(
            one,
            ids[one.key[0], one.key[2]],
            claims[one.key],
            [epoch for epoch, _ in epochs.get(one.key, [])],
            again,
        )
        for one in series
    ]


_KINDS = ("new", "changed", "gone", "equal", "held", "quarantined")


class _Hand:
    """What one loading thread works with; a lost connection is opened again."""

    def __init__(
        self, warehouse: DatabaseManager, parser: CandleParser, sleep: Callable[[float], None]
    ) -> None:
        self.warehouse, self.parser = warehouse, parser
        self._lost = False
        self._retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(_RECONNECTS),
            wait=tenacity.wait_exponential(multiplier=1),
            retry=tenacity.retry_if_exception(_starts_again),
            sleep=sleep,
            before_sleep=self._prepare,
            reraise=True,
        )

    def persist(self, work: Callable[..., T], *arguments: object) -> T:
        """Call `work`, and call it again after a collision or a lost connection."""

        def attempt() -> T:
            if self._lost:
                self.warehouse.open()
                self._lost = False
            return work(*arguments)

        return self._retrying(attempt)

    def _prepare(self, state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        log.warning("%s; trying again", error)
        if not isinstance(error, Collision):
            self.warehouse.close()
            self._lost = True


def _starts_again(error: BaseException) -> bool:
    """A connection that is lost or refused, or a collision: not what the server refused."""
    return isinstance(error, WarehouseError) and not isinstance(
        error, (SeriesRefused, SchemaMissing)
    )


def bundles(series: Sequence[StagedSeries]) -> list[list[StagedSeries]]:
    """Return the series in bundles whose new bodies are read in one go; large ones alone."""
    bundled: list[list[StagedSeries]] = []
    size = 0
    for one in series:
        if not bundled or size + one.bytes > GROUP_BYTES:
            bundled.append([])
            size = 0
        bundled[-1].append(one)
        size += one.bytes
    return bundled
