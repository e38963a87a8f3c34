"""What is to be asked of each series, and in which order: the queue before the pool."""

import logging
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from kitepipe.model import IST, Reply, Series, Window
from kitepipe.plan import Bounds, Known, plan_windows
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
    `period` the 08:00 IST period of the newest reply: the first window that is asked in another
    one holds `session`, and until it has been compared `must_compare` stands.
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

    def next_window(self, period: date) -> Window:
        """Take the next window; where a new period has begun since, a known session first."""
        if self.period not in (None, period) and self.session and not self.must_compare:
            self.must_compare = True
            return Window(self.session, self.session)
        return self.windows.popleft()

    def learn(self, reply: Reply, settled: date, period: date) -> None:
        """Remember a reply's newest settled session, and when it came."""
        sessions = [day for day in reply.contents.newest_sessions if day <= settled]
        self.session = max(filter(None, [self.session, *sessions]), default=None)
        self.period = period
        self.must_compare = False
        self.staged = _and(self.staged or self._nothing(), reply)

    def _nothing(self) -> StagedSeries:
        instrument = self.series.instrument
        names = (instrument.exchange, instrument.tradingsymbol)
        return StagedSeries(key_of(self.series), *names, 0, 0, None, None)

    def begin_epoch(self, epoch: datetime, settled: Window | None, max_days: int | None) -> None:
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
                max_days=max_days,
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


def plan_jobs(
    series: Iterable[Series],
    known: Mapping[SeriesKey, StagedKnowledge],
    bounds: Bounds,
    *,
    bootstrap: date,
    now: datetime,
    margin: timedelta,
) -> list[Job]:
    """Return a job for each series that has a window to ask, in the order of `series`."""
    unknown = StagedKnowledge(Known())
    jobs = (
        _plan_job(one, known.get(key_of(one), unknown), bounds, bootstrap, now, margin)
        for one in series
    )
    return [job for job in jobs if job and job.windows]


def _plan_job(
    series: Series,
    staged: StagedKnowledge,
    bounds: Bounds,
    bootstrap: date,
    now: datetime,
    margin: timedelta,
) -> Job | None:
    instrument, interval = series.instrument, series.interval
    today = now.astimezone(IST).date()
    begin, end = max(bootstrap, interval.earliest), min(today, instrument.expiry or today)
    first, last = max(begin, bounds.first or begin), min(end, bounds.last or end)
    if first > last:
        return None
    settled = settled_through(instrument.exchange, now, margin)
    known = staged.known
    asked = Known((), known.last_session, known.period) if bounds.refetch else known
    soon = instrument.expiry is not None and instrument.expiry - today <= _EXPIRES_SOON
    windows = plan_windows(
        Window(first, last),
        asked,
        interval,
        settled=settled,
        period=period_of(now),
        newest_first=soon,
    )
    return Job(
        series,
        deque(windows),
        Window(begin, end),
        settled,
        staged.epoch,
        known.last_session,
        known.period,
        known.last_session is not None and known.period != period_of(now),
    )


def batches(jobs: Sequence[Job], size: int) -> list[Sequence[Job]]:
    """Return the jobs in order, in batches of `size`; the last may be smaller."""
    if size < 1:
        raise ValueError(f"batch size must be at least 1: {size}")
    return [jobs[start : start + size] for start in range(0, len(jobs), size)]


def in_order(all_batches: Sequence[Sequence[Job]]) -> Iterator[Job]:
    """Yield the jobs of one batch after another, and say where each begins.

    The pool takes the next job as soon as a thread is free: it never drains between batches.
    """
    for number, batch in enumerate(all_batches, start=1):
        log.info(
            "batch %d of %d: %s to %s", number, len(all_batches), batch[0].series, batch[-1].series
        )
        yield from batch
