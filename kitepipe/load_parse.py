"""The candles of a series, group by group, parsed ahead of whoever writes them.

What the table has already is not fetched where its checksum tells that it is the same.
"""

import queue
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import TypeVar

from kitepipe.load_decide import group_bounds, groups
from kitepipe.model import Interval, Window
from kitepipe.plan import merge
from kitepipe.staging_candles import CandleParser, Parsed, Part
from kitepipe.staging_series import Rebased, StagedReply, StagedSeries
from kitepipe.warehouse_series import SeriesTransaction

T = TypeVar("T")

# Replies that are not plain and are parsed together: as JSON they take 15 to 20 times their size.
_ODD_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class SeriesWork:
    """A series to load: what staging has of it, and where it goes in the warehouse."""

    series: StagedSeries
    instrument_id: int
    replies: Sequence[StagedReply]
    rebases: Sequence[Rebased] = ()
    adopted: Sequence[Window] = ()  # dates that staging knows from the warehouse alone
    replay: bool = False

    @property
    def epochs(self) -> list[datetime]:
        """When the series was seen re-based."""
        return [rebased.epoch for rebased in self.rebases]

    @property
    def interval(self) -> Interval:
        """The series' interval."""
        return Interval(self.series.key[1])


class Finding(Enum):
    """What the table has where a group of replies decides; the value is what candles count as."""

    NEW = "new"  # nothing
    EQUAL = "equal"  # the same candles, to the last digit
    DIFFERENT = "different"  # something else: the parser still holds the group, to be compared


@dataclass(frozen=True, slots=True)
class ParsedGroup:
    """Replies that are written at once, with their candles."""

    finding: Finding
    group: Sequence[Part]
    parsed: Parsed


def parsed_groups(
    transaction: SeriesTransaction, parser: CandleParser, work: SeriesWork, parts: Sequence[Part]
) -> Iterator[ParsedGroup]:
    """Yield the parts in groups, those first for which the table has nothing, or just that."""
    told = _by_checksum if work.replay else _by_probe
    different: list[Sequence[Part]] = []
    yield from told(transaction, parser, work, groups(parts), different)
    for group, parsed in parse_each(parser, different, work):
        yield ParsedGroup(Finding.DIFFERENT if decided(group) else Finding.NEW, group, parsed)


def _by_probe(
    transaction: SeriesTransaction,
    parser: CandleParser,
    work: SeriesWork,
    grouped: Sequence[Sequence[Part]],
    different: list[Sequence[Part]],
) -> Iterator[ParsedGroup]:
    """Yield the groups for which the table has nothing; the others are `different`."""
    fresh: list[Sequence[Part]] = []
    for one in grouped:
        clashes = any(part.decides for part in one) and transaction.has_rows(*group_bounds(one))
        (different if clashes else fresh).append(one)
    for group, parsed in ahead(parse_each(parser, fresh, work)):
        yield ParsedGroup(Finding.NEW, group, parsed)


def _by_checksum(
    transaction: SeriesTransaction,
    parser: CandleParser,
    work: SeriesWork,
    grouped: Sequence[Sequence[Part]],
    different: list[Sequence[Part]],
) -> Iterator[ParsedGroup]:
    """Yield the groups for which the table has nothing, or what they bring: a replay expects that.

    So no candle of the table is fetched but where it is `different`.
    """
    summed = ((*found, parser.checksum()) for found in parse_each(parser, grouped, work))
    for group, parsed, checksum in ahead(summed):
        there = transaction.checksum(decided(group))
        if there == checksum:
            yield ParsedGroup(Finding.EQUAL, group, parsed)
        elif not there.candles:
            yield ParsedGroup(Finding.NEW, group, parsed)
        else:
            different.append(group)


def parse_each(
    parser: CandleParser, grouped: Iterable[Sequence[Part]], work: SeriesWork
) -> Iterator[tuple[Sequence[Part], Parsed]]:
    """Parse the groups; one that is not plain in smaller ones."""
    for group in grouped:
        fits = len(group) == 1 or parser.is_plain(group)
        for part in [group] if fits else groups(group, _ODD_BYTES):
            yield part, parser.parse(part, work.interval)


def decided(group: Sequence[Part]) -> list[Window]:
    """Return the dates that a group decides, in as few windows as may be."""
    return merge(window for part in group for window in part.decides)


def ahead(items: Iterable[T]) -> Iterator[T]:
    """Yield `items`, each made in another thread while the one before is being used.

    numpy parses and libpq sends outside the interpreter's lock: overlapped they reach what COPY
    takes alone, in two loaders; one after the other 0.60 of it.
    """
    ready: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(maxsize=1)
    abandoned = threading.Event()

    def put(item: T | None, error: BaseException | None = None) -> bool:
        while not abandoned.is_set():
            try:
                ready.put((item, error), timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def make() -> None:
        try:
            for item in items:
                if not put(item):
                    return
            put(None)
        except BaseException as error:  # it is the consumer's to handle
            put(None, error)

    thread = threading.Thread(target=make, name="parse-ahead", daemon=True)
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if error is not None:
                raise error
            if item is None:
                return
            yield item
    finally:
        abandoned.set()
        thread.join()
