"""What is to be asked of each series, and in which order: the queue before the pool."""

import logging
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from kitepipe.model import IST, Reply, Series, Window
from kitepipe.plan import Bounds, Known, chunk_date_range, plan_windows
from kitepipe.sessions import period_of, settled_through
from kitepipe.staging_series import (
    FIRST_EPOCH,
    SeriesKey,
    StagedKnowledge,
    StagedSeries,
    key_of,
)

log = logging.getLogger(__name__)

# Contracts that expire within a week: their newest candles are asked first, for after expiry the
# token is gone.
_EXPIRES_SOON = timedelta(days=7)


@dataclass(slots=True)
class Job:
    """One series with the windows still to ask; the only thing in a fetch that changes.

    `life` is all there can be of the series. `session` is the newest settled date with a candle,
    `period` the 08:00 IST period of the replies so far. Where replies of two periods would meet,
    `must_compare` stands until a reply that holds `session` has been compared.
    """

    series: Series
    windows: deque[Window]
    life: Window
    settled: date
    epoch: datetime = FIRST_EPOCH
    session: date | None = None
    period: date | None = None
    must_compare: bool = False
    staged: StagedSeries | None = None  # what this run has staged of it

    def narrow(self, max_days: int) -> None:
        """Cut the windows that are wider than a server's own cap."""
        parts = (
            chunk_date_range(window.first, window.last, self.series.interval, max_days)
            for window in self.windows
        )
        self.windows = deque(part for cut in parts for part in cut)

    def next_window(self, period: date) -> Window | None:
        """Take the next window, None at the end; where periods would meet, one with `session`."""
        if self.windows and self.session and self.period not in (None, period):
            self.must_compare = True
        if not self.must_compare or not self.session:
            return self.windows.popleft() if self.windows else None
        for window in self.windows:
            if self.session in window:
                self.windows.remove(window)
                return window
        return Window(self.session, self.session)

    def learn(self, reply: Reply, settled: date, asked: date, answered: date) -> None:
        """Remember a reply's newest settled session, and in which periods it was on its way.

        One that was asked in one period and answered in the next may stand on either price base:
        it counts for the first, and is compared even where no window is left.
        """
        sessions = [day for day in reply.contents.newest_sessions if day <= settled]
        self.session = max(filter(None, [self.session, *sessions]), default=None)
        self.period = asked
        self.must_compare = answered > asked
        self.staged = _and(self.staged or self._nothing(), reply)

    def _nothing(self) -> StagedSeries:
        instrument = self.series.instrument
        names = (instrument.exchange, instrument.tradingsymbol)
        return StagedSeries(key_of(self.series), *names, 0, 0, None, None)

    def begin_epoch(self, epoch: datetime, settled: Window | None) -> None:
        """Plan the whole life again, but for what the reply that began the epoch settled."""
        self.epoch = epoch
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


@dataclass(frozen=True, slots=True)
class Horizon:
    """Between what and what a fetch plans: history begins at `bootstrap` and ends `now`."""

    bounds: Bounds
    bootstrap: date
    now: datetime
    margin: timedelta


def plan_jobs(
    series: Iterable[Series], known: Mapping[SeriesKey, StagedKnowledge], horizon: Horizon
) -> list[Job]:
    """Return a job for each series that has a window to ask, in the order of `series`."""
    unknown = StagedKnowledge(Known())
    jobs = (_plan_job(one, known.get(key_of(one), unknown), horizon) for one in series)
    return [job for job in jobs if job and job.windows]


def _plan_job(series: Series, staged: StagedKnowledge, horizon: Horizon) -> Job | None:
    instrument, interval, bounds = series.instrument, series.interval, horizon.bounds
    today, period = horizon.now.astimezone(IST).date(), period_of(horizon.now)
    begin, end = max(horizon.bootstrap, interval.earliest), min(today, instrument.expiry or today)
    first, last = max(begin, bounds.first or begin), min(end, bounds.last or end)
    if first > last:
        return None
    settled = settled_through(instrument.exchange, horizon.now, horizon.margin)
    known = staged.known
    windows = plan_windows(
        Window(first, last),
        Known((), known.last_session, known.period) if bounds.refetch else known,
        interval,
        settled=settled,
        period=period,
        newest_first=instrument.expiry is not None and instrument.expiry - today <= _EXPIRES_SOON,
    )
    return Job(
        series,
        deque(windows),
        life=Window(begin, end),
        settled=settled,
        epoch=staged.epoch,
        session=known.last_session,
        period=known.period,
    )


Lane = deque[Job]


def lanes(jobs: Iterable[Job]) -> list[Lane]:
    """Return the jobs of each instrument together: what is asked of one goes one after another."""
    by_instrument: dict[int, Lane] = {}
    for job in jobs:
        by_instrument.setdefault(job.series.instrument_key, deque()).append(job)
    return list(by_instrument.values())


def batches(all_lanes: Sequence[Lane], size: int) -> list[Sequence[Lane]]:
    """Return the instruments in order, in batches of `size`; the last may be smaller."""
    if size < 1:
        raise ValueError(f"batch size must be at least 1: {size}")
    return [all_lanes[start : start + size] for start in range(0, len(all_lanes), size)]


def in_order(all_batches: Sequence[Sequence[Lane]]) -> Iterator[Lane]:
    """Yield the instruments of one batch after another, and say where each begins.

    The pool takes the next one as soon as a thread is free: it never drains between batches.
    """
    for number, batch in enumerate(all_batches, start=1):
        names = batch[0][0].series.instrument, batch[-1][0].series.instrument
        log.info("batch %d of %d: %s to %s", number, len(all_batches), *names)
        yield from batch
