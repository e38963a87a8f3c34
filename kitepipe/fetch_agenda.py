"""All that a run is to ask: how much it is, and the instruments in their order.

Windows of 100,000 instruments at eight intervals would not fit into memory, and nobody needs them
at once: how many there are is worked out in SQL, and jobs are made when a thread is about free.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from kitepipe.fetch_plan import EXPIRES_SOON, Horizon, plan_jobs
from kitepipe.fetch_queue import Job, Lane, lanes
from kitepipe.model import IST, Interval
from kitepipe.sessions import period_of, settled_through
from kitepipe.staging import Cursor
from kitepipe.staging_series import keep_oi, select_noted
from kitepipe.staging_wanted import (
    Planned,
    note_planned,
    planned_instruments,
    planned_lines,
    select_planned_series,
    wanted_exchanges,
    wanted_futures,
)
from kitepipe.summary import PlanLine

# So many instruments are planned at a time: 70 ms of the main thread, for at least half a minute of
# requests at three a second.
_PAGE = 100


@dataclass(slots=True)
class Agenda:
    """What a run is to ask: instruments, series and requests in all, days by interval.

    `since` is the first date, `futures` the keys of continuous series, `lines` the series by name.
    Instruments come once, from `in_turn`; `begun` are those of which something may be left.
    """

    waiting: Iterator[Lane]
    instruments: int
    series: int
    requests: int
    days: Mapping[Interval, int]
    since: date | None
    lines: Callable[[], list[PlanLine]]
    futures: Sequence[int] = ()
    begun: list[Lane] = field(default_factory=list)

    def in_turn(self) -> Iterator[Lane]:
        """Yield the jobs of one instrument after another."""
        room = 0
        for lane in self.waiting:
            if len(self.begun) >= room:  # what is over is dropped now and then
                self.begun = list(filter(None, self.begun))
                room = 2 * len(self.begun) + _PAGE
            self.begun.append(lane)
            yield lane


def agenda_of(jobs: Sequence[Job]) -> Agenda:
    """Return an agenda of jobs that are made already."""
    all_lanes, days = lanes(jobs), Counter[Interval]()
    for job in jobs:
        days[job.series.interval] += sum(window.days for window in job.windows)
    return Agenda(
        iter(all_lanes),
        len(all_lanes),
        len(jobs),
        sum(len(job.windows) for job in jobs),
        days,
        min((window.first for job in jobs for window in job.windows), default=None),
        lambda: [_line(job) for job in jobs],
        [job.series.instrument_key for job in jobs if job.series.continuous],
    )


def _line(job: Job) -> PlanLine:
    return PlanLine(
        str(job.series),
        len(job.windows),
        min(window.first for window in job.windows),
        max(window.last for window in job.windows),
    )


def plan_agenda(
    cursor: Cursor, intervals: Sequence[Interval], horizon: Horizon, *, oi: bool
) -> Agenda:
    """Plan what `want_instruments` and `note_known` noted; the cursor is used until the end."""
    planned = note_planned(cursor, _parameters(intervals, horizon, wanted_exchanges(cursor)))
    return Agenda(
        _lanes(cursor, intervals, horizon, oi),
        planned_instruments(cursor),
        sum(one.series for one in planned),
        sum(one.requests for one in planned),
        _days(planned),
        min((one.first for one in planned), default=None),
        lambda: [PlanLine(*row) for row in planned_lines(cursor, intervals)],
        wanted_futures(cursor),
    )


def _lanes(
    cursor: Cursor, intervals: Sequence[Interval], horizon: Horizon, oi: bool
) -> Iterator[Lane]:
    place = 0
    while True:
        series, place = select_planned_series(cursor, intervals, oi=oi, after=place, most=_PAGE)
        if not series:
            return
        known = select_noted(cursor, {one.instrument_key for one in series})
        yield from lanes(plan_jobs(keep_oi(series, known), known, horizon))


def _days(planned: Iterable[Planned]) -> Mapping[Interval, int]:
    days = Counter[Interval]()
    for one in planned:
        days[Interval.DAY if one.interval == "probe" else Interval(one.interval)] += one.days
    return days


def _parameters(
    intervals: Sequence[Interval], horizon: Horizon, exchanges: Sequence[str]
) -> dict[str, object]:
    """Return what staging_create_planned.sql asks for."""
    now, bounds = horizon.now, horizon.bounds
    today = now.astimezone(IST).date()
    return {
        "intervals": [*(one.value for one in intervals), "probe"],
        "caps": [*(one.max_days for one in intervals), Interval.DAY.max_days],
        "exchanges": exchanges,
        "settled": [settled_through(one, now, horizon.margin) for one in exchanges],
        "today": today,
        "soon": today + EXPIRES_SOON,
        "period": period_of(now),
        "day_from": max(horizon.bootstrap, Interval.DAY.earliest),
        "intraday_from": max(horizon.bootstrap, Interval.MINUTE.earliest),
        "first": bounds.first,
        "last": bounds.last,
        "refetch": bounds.refetch,
    }
