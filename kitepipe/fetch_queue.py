"""What is to be asked of each series, and in which order: the queue before the pool."""

import itertools
import logging
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from kitepipe.model import Reply, Series, Window
from kitepipe.plan import (
    EMPTY_DAYS,
    Known,
    chunk_date_range,
    plan_windows,
)
from kitepipe.sessions import period_of
from kitepipe.staging_series import (
    FIRST_EPOCH,
    StagedSeries,
    key_of,
)

log = logging.getLogger(__name__)

_DAY = timedelta(days=1)


@dataclass(slots=True)
class Search:
    """The way back to where history begins, one window before the other without a hole.

    Everything from `edge` on is known, and so many days from there on hold no candle.
    """

    edge: date
    empty_days: int = 0

    @property
    def is_over(self) -> bool:
        """Tell whether enough is empty: what lies before is not asked."""
        return self.empty_days >= EMPTY_DAYS

    def go_back(self, window: Window, first_candle: date | None) -> None:
        """Learn from a reply, where it is the one that comes before all that is known."""
        if window.last + _DAY != self.edge:
            return
        self.edge = window.first
        if first_candle:
            self.empty_days = (first_candle - window.first).days
        else:
            self.empty_days += window.days


@dataclass(slots=True)
class Job:
    """One series with the windows still to ask; the only thing in a fetch that changes.

    `life` is all there can be of the series. `session` is the newest settled date with a candle,
    `period` the 08:00 IST period of the replies so far, `answered` that of the newest answer by
    Kite's clock: what is asked later is never of an older one, whatever ours says. Where replies
    of two periods would meet, `must_compare` stands until a reply that holds `session` has been
    compared.

    `first` is the oldest date with a candle so far. A day job with a `search` goes back in time, a
    probe goes forward until there is one. `after` is the job that finds out where this one's
    history begins; what lies before is then not asked.
    """

    series: Series
    windows: deque[Window]
    life: Window
    settled: date
    epoch: datetime = FIRST_EPOCH
    session: date | None = None
    period: date | None = None
    answered: date | None = None
    must_compare: bool = False
    staged: StagedSeries | None = None  # what this run has staged of it
    first: date | None = None
    search: Search | None = None
    failed: bool = False
    after: "Job | None" = None

    @property
    def start(self) -> date | None:
        """Where history is proven to begin, once all windows are over; None: it is not proven."""
        if self.failed or self.windows or not (self.search or self.series.probe):
            return None
        return self.first or self.settled

    def narrow(self, max_days: int) -> None:
        """Cut the windows that are wider than a server's own cap."""
        parts = (
            chunk_date_range(window.first, window.last, self.series.interval, max_days)
            for window in self.windows
        )
        self.windows = deque(part for cut in parts for part in cut)

    def next_window(self, period: date) -> Window | None:
        """Take the next window, None at the end; where periods would meet, one with `session`."""
        if self.after:
            self._begin_at(self.after.start)
        period = max(period, self.answered or period)
        if self.windows and self.session and self.period not in (None, period):
            self.must_compare = True
        if not self.must_compare or not self.session:
            return self.windows.popleft() if self.windows else None
        for window in self.windows:
            if self.session in window:
                self.windows.remove(window)
                return window
        return Window(self.session, self.session)

    def learn(
        self, window: Window, reply: Reply, settled: date, asked: date, answered: date
    ) -> None:
        """Remember a reply's newest settled session, and in which periods it was on its way.

        One that was asked in one period and answered in the next may stand on either price base:
        it counts for the first, and is compared even where no window is left.
        """
        sessions = [day for day in reply.contents.newest_sessions if day <= settled]
        self.period = max(asked, self.answered or asked)
        self.must_compare = answered > self.period
        if not (self.must_compare and self.session):  # else it would be compared with itself
            self.session = max(filter(None, [self.session, *sessions]), default=None)
        self.answered = max(answered, self.period)
        if not self.series.probe:
            self.staged = _and(self.staged or self._nothing(), reply)
        self._look_for_the_start(window, reply.contents.first_candle)

    def _look_for_the_start(self, window: Window, first: date | None) -> None:
        self.first = min(filter(None, [self.first, first]), default=None)
        if self.series.probe and first:
            self.windows.clear()
        elif self.search:
            self.search.go_back(window, first)
            if self.search.is_over:
                edge = self.search.edge
                self.windows = deque(w for w in self.windows if w.first >= edge)

    def _begin_at(self, start: date | None) -> None:
        """Ask nothing from before `start`."""
        self.after = None
        if start:
            left = (Window(max(w.first, start), w.last) for w in self.windows if w.last >= start)
            self.windows = deque(left)

    def _nothing(self) -> StagedSeries:
        instrument = self.series.instrument
        names = (instrument.exchange, instrument.tradingsymbol)
        return StagedSeries(key_of(self.series), *names, 0, 0, None, None)

    def begin_epoch(self, epoch: datetime, settled: Window | None) -> None:
        """Plan the whole life again, but for what the reply that began the epoch settled."""
        self.epoch, self.search = epoch, None
        known = Known((settled,) if settled else ())
        self.windows = deque(
            plan_windows(
                self.life,
                known,
                self.series.interval,
                settled=self.settled,
                period=self.period or period_of(epoch),
            )
        )


def _and(staged: StagedSeries, reply: Reply) -> StagedSeries:
    contents = reply.contents
    firsts = [day for day in (staged.first_candle, contents.first_candle) if day]
    lasts = [day for day in (staged.last_candle, *contents.newest_sessions[:1]) if day]
    return replace(
        staged,
        replies=staged.replies + 1,
        bytes=staged.bytes + len(reply.body),
        first_candle=min(firsts, default=None),
        last_candle=max(lasts, default=None),
    )


Lane = deque[Job]


def lanes(jobs: Iterable[Job]) -> list[Lane]:
    """Return the jobs of each instrument together: what is asked of one goes one after another."""
    by_instrument: dict[int, Lane] = {}
    for job in jobs:
        by_instrument.setdefault(job.series.instrument_key, deque()).append(job)
    return list(by_instrument.values())


def batches(all_lanes: Iterable[Lane], size: int) -> Iterator[list[Lane]]:
    """Return the instruments in order, in batches of `size`; the last may be smaller."""
    if size < 1:
        raise ValueError(f"batch size must be at least 1: {size}")
    rest = iter(all_lanes)
    return iter(lambda: list(itertools.islice(rest, size)), [])


def in_order(all_batches: Iterable[Sequence[Lane]], count: int) -> Iterator[Lane]:
    """Yield the instruments of one of `count` batches after another, and say where each begins.

    The pool takes the next one as soon as a thread is free: it never drains between batches.
    """
    for number, batch in enumerate(all_batches, start=1):
        names = batch[0][0].series.instrument, batch[-1][0].series.instrument
        log.info("batch %d of %d: %s to %s", number, count, *names)
        yield from batch
