"""Stage 2: staged replies to the warehouse, one transaction per series.

What is loaded already is known by the warehouse's ledger alone; staging is only read. Replay is
the same with the ledger's memory left aside.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType

from kitepipe.errors import ArchiveOutOfReach, SeriesRefused, WarehouseError
from kitepipe.load_decide import GROUP_BYTES
from kitepipe.load_hand import Hand
from kitepipe.load_parse import SeriesWork
from kitepipe.load_series import load_series
from kitepipe.load_tally import Tally
from kitepipe.model import Window
from kitepipe.plan import covers, merge
from kitepipe.progress import Meter
from kitepipe.staging import Cursor, Staging
from kitepipe.staging_candles import CandleParser
from kitepipe.staging_errors import translated
from kitepipe.staging_series import StagedSeries, select_adopted, select_claims, select_epochs
from kitepipe.summary import LoadReport
from kitepipe.warehouse import DatabaseManager

log = logging.getLogger(__name__)
InstrumentIds = dict[tuple[int, bool], int]  # by instrument_key and whether it is continuous

_CANCEL_AGAIN_S = 0.1


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How a load goes: `dsn` of the warehouse, its number of connections at once."""

    dsn: str = field(repr=False)  # it may hold a password
    load_workers: int = 2
    replay: bool = False
    as_of: datetime | None = None


class _Stopped(Exception):
    """The load was interrupted: a thread that waits for another try wakes with this."""


class Loader:
    """Loads series of one staging file in several threads, each with a connection of its own.

    Use it in a `with`; `submit` series, `wait`, then take the `report`. Where the block ends with
    an exception, what is under way is cancelled: nothing of it was written. As soon as `gives_way`
    says so nothing more is begun: what was submitted and is not loaded is then `left`.
    """

    def __init__(
        self,
        staging: Staging,
        options: LoadOptions,
        meter: Meter,
        gives_way: Callable[[], bool] = lambda: False,
    ) -> None:
        self._staging, self._options, self._meter = staging, options, meter
        self._gives_way, self.left = gives_way, list[StagedSeries]()
        self._tally = Tally()
        self._making_chunks = threading.Lock()
        self._dates_with_chunks: list[Window] = []
        self._hands: list[Hand] = []
        self._free: queue.SimpleQueue[Hand] = queue.SimpleQueue()
        self._futures: list[Future[None]] = []
        self._stopping = threading.Event()
        self._opened = ExitStack()
        self._fatal: WarehouseError | None = None

    def __enter__(self) -> "Loader":
        workers = self._options.load_workers
        self._opened.enter_context(self._staging.memory.for_loaders(workers))
        self._executor = ThreadPoolExecutor(workers, "load")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._opened:
            try:
                if kind is not None:
                    self._cancel()
            finally:
                self._executor.shutdown(wait=True, cancel_futures=True)

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
        return self._tally.report()

    def _cancel(self) -> None:
        """End what the threads do now; a statement may begin just after it was looked for."""
        self._stopping.set()
        self._executor.shutdown(wait=False, cancel_futures=True)
        while not all(future.done() for future in self._futures):
            for hand in self._hands:
                hand.warehouse.cancel()
            time.sleep(_CANCEL_AGAIN_S)

    def _pause(self, seconds: float) -> None:
        if self._stopping.wait(seconds):
            raise _Stopped

    def _load(self, bundle: Sequence[StagedSeries], ids: InstrumentIds) -> None:
        try:
            if self._fatal is None and not self._is_left(bundle):
                with translated(self._staging.path), self._hand() as hand:
                    self._load_bundle(hand, bundle, ids)
        except WarehouseError as error:
            log.error("%s; loading stops", error)
            self._fatal = error

    def _is_left(self, series: Sequence[StagedSeries]) -> bool:
        """Leave these series where somebody goes before them."""
        if not (self.left or self._gives_way()):
            return False
        self.left += series
        return True

    @contextmanager
    def _hand(self) -> Iterator[Hand]:
        """Lend this thread a hand; one more is opened where none is free, while others load."""
        try:
            hand = self._free.get_nowait()
        except queue.Empty:
            warehouse = DatabaseManager(self._options.dsn)
            self._opened.callback(warehouse.close)
            parser = self._opened.enter_context(closing(CandleParser(self._staging)))
            hand = Hand(warehouse, parser, self._pause)
            self._hands.append(hand)
        try:
            yield hand
        finally:
            self._free.put(hand)

    def _load_bundle(self, hand: Hand, bundle: Sequence[StagedSeries], ids: InstrumentIds) -> None:
        self._make_chunks(hand, bundle)
        options = self._options
        with self._staging.cursor() as cursor:
            bundled = works(cursor, bundle, ids, again=options.replay, as_of=options.as_of)
        if sum(series.bytes for series in bundle) <= GROUP_BYTES:
            # Of each series the newest are those to load: what else is needed, `parse` reads.
            news = [r.reply_id for work in bundled for r in work.replies[-work.series.replies :]]
            hand.parser.keep_bodies(news)
        for number, work in enumerate(bundled):
            if self._fatal or self._stopping.is_set() or self._is_left(bundle[number:]):
                return
            self._load_one(hand, work)

    def _load_one(self, hand: Hand, work: SeriesWork) -> None:
        started = time.monotonic()
        try:
            result = hand.persist(
                load_series, hand.warehouse, hand.parser, self._staging.staging_id, work
            )
        except (SeriesRefused, ArchiveOutOfReach) as error:
            if self._stopping.is_set():  # it was we who cancelled its statement
                return
            self._tally.refuse(work, error)
        else:
            self._tally.count(work, result, time.monotonic() - started)
        self._meter.advance(1, str(work.series))

    def _make_chunks(self, hand: Hand, bundle: Sequence[StagedSeries]) -> None:
        """Make hypertable chunks ahead: who makes one in a load locks out the other loaders.

        A loader asks the server for each span of dates once: it takes 10 ms to look.
        """
        firsts = [s.first_candle for s in bundle if s.first_candle]
        lasts = [s.last_candle for s in bundle if s.last_candle]
        if not firsts or not lasts:
            return
        span = Window(min(firsts), max(lasts))
        with self._making_chunks:
            if not covers(self._dates_with_chunks, [span]):
                hand.persist(hand.warehouse.make_hypertable_chunks, span.first, span.last)
                self._dates_with_chunks = merge([*self._dates_with_chunks, span])


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
    adopted = select_adopted(cursor)
    return [
        SeriesWork(
            one,
            ids[one.key[0], one.key[2]],
            claims[one.key],
            epochs.get(one.key, []),
            adopted.get(one.key, []),
            again,
        )
        for one in series
    ]


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
