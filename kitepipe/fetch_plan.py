"""From what is known to the jobs of a run: what to ask of each instrument, and in which order.

Where history begins is found with day candles, whose windows are the widest: the day series goes
back in time until it is enough, and other intervals begin where it began. Without a day series a
probe goes forward from 2015 until the first candle; its replies are staged, and never loaded.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import partial

from kitepipe.fetch_queue import Job, Search
from kitepipe.model import IST, Interval, Series, Window
from kitepipe.plan import Bounds, Known, chunk_date_range, history_start, plan_windows
from kitepipe.sessions import period_of, settled_through
from kitepipe.staging_series import SeriesKey, StagedKnowledge, key_of

# Contracts that expire within a week: their newest candles are asked first, for after expiry the
# token is gone.
EXPIRES_SOON = timedelta(days=7)

# A probe asks day candles from 2015 on until one comes: at most so many windows of 2,000 days.
_PROBE_WINDOWS = 3
_DAY = timedelta(days=1)


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
    """Return a job for each series that has a window to ask, in the order of `series`.

    Of one instrument day comes first: it finds out where history begins, or a probe does.
    """
    plan = _Plan(known, horizon)
    return [job for one in _by_instrument(series) for job in plan.jobs(one) if job.windows]


def _by_instrument(series: Iterable[Series]) -> list[list[Series]]:
    found: dict[tuple[int, bool], list[Series]] = {}
    for one in series:
        found.setdefault((one.instrument_key, one.continuous), []).append(one)
    return [
        sorted(some, key=lambda one: one.interval is not Interval.DAY) for some in found.values()
    ]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is known, and the horizon, for one instrument after another."""

    known: Mapping[SeriesKey, StagedKnowledge]
    horizon: Horizon

    def jobs(self, series: Sequence[Series]) -> Iterator[Job]:
        """Yield the jobs of one instrument's series, of which day, if it is there, comes first."""
        day = replace(series[0], interval=Interval.DAY)
        asks_day = series[0].interval is Interval.DAY
        finder = self._job(day if asks_day else replace(day, probe=True))
        jobs = [self._job(one, self._start(one)) for one in series[asks_day:]]
        long = [job for job in jobs if job and self._may_start_later(job)]
        if finder and (asks_day or long):
            yield finder
            for job in long:
                job.after = finder
        yield from (job for job in jobs if job)

    def _may_start_later(self, job: Job) -> bool:
        """Tell whether finding the start first may save more requests than it costs."""
        leading = [window for window in job.windows if not job.first or window.first < job.first]
        return len(leading) > _PROBE_WINDOWS and self._start(job.series) is None

    def _start(self, series: Series) -> date | None:
        """Return where day candles, or an earlier probe, show that history begins."""
        earliest = max(series.interval.earliest, self.horizon.bootstrap)
        for kind in (Interval.DAY.value, "probe"):
            staged = self.known.get((series.instrument_key, kind, series.continuous))
            if staged and (start := history_start(staged.known, earliest)):
                return start
        return None

    def _job(self, series: Series, start: date | None = None) -> Job | None:
        staged = self.known.get(key_of(series), StagedKnowledge(Known()))
        known, bounds, interval = staged.known, self.horizon.bounds, series.interval
        today = self.horizon.now.astimezone(IST).date()
        begin = max(self.horizon.bootstrap, interval.earliest)
        if series.probe:
            begin = max(begin, Interval.MINUTE.earliest)
        elif interval is Interval.DAY:
            start = history_start(known, begin)
        if start and not bounds.refetch:
            begin = max(begin, start)
        end = min(today, series.instrument.expiry or today)
        first, last = max(begin, bounds.first or begin), min(end, bounds.last or end)
        if first > last:
            return None
        whole = (first, last) == (begin, end) and not bounds.refetch
        search = _search(known, end) if whole and series.staged_as == Interval.DAY else None
        covered_from = known.covered[0].first if known.covered else begin
        return Job(
            series,
            deque(self._windows(series, Window(first, last), known, search)),
            life=Window(min(begin, covered_from), end),
            settled=settled_through(
                series.instrument.exchange, self.horizon.now, self.horizon.margin
            ),
            epoch=staged.epoch,
            session=known.last_session,
            period=known.period,
            first=known.first_session,
            search=search,
        )

    def _windows(
        self, series: Series, span: Window, known: Known, search: Search | None
    ) -> list[Window]:
        """Plan a span; a search asks what lies before all that is known last, and newest first."""
        instrument, now = series.instrument, self.horizon.now
        plan = partial(
            plan_windows,
            known=Known((), known.last_session, known.period)
            if self.horizon.bounds.refetch
            else known,
            interval=series.interval,
            settled=settled_through(instrument.exchange, now, self.horizon.margin),
            period=period_of(now),
        )
        today = now.astimezone(IST).date()
        soon = instrument.expiry is not None and instrument.expiry - today <= EXPIRES_SOON
        if search is None:
            return plan(span, newest_first=soon)
        edge = search.edge
        since = max(edge, span.first)
        later = plan(Window(since, span.last), newest_first=soon) if since <= span.last else []
        if edge <= span.first or search.is_over:
            return later
        before = Window(span.first, min(edge - _DAY, span.last))  # known may be more than its life
        if later:
            return later + chunk_date_range(before.first, before.last, series.interval)[::-1]
        return plan(before, newest_first=True)


def _search(known: Known, end: date) -> Search:
    """Begin, or go on with, the search for the start: before the oldest dates that are known."""
    if not known.covered:
        return Search(end + _DAY)
    oldest = known.covered[0]
    if known.first_session and known.first_session in oldest:
        return Search(oldest.first, (known.first_session - oldest.first).days)
    return Search(oldest.first, oldest.days)
