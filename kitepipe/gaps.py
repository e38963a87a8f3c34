"""What is missing in staging, and the windows that would mend it.

A gap that nobody can explain is a hole. It is asked for again on another day; what replies of
three days agree on is absent at source.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import date, timedelta

from kitepipe.fetch_plan import Horizon
from kitepipe.fetch_queue import Job
from kitepipe.model import IST, Gap, GapKind, Interval, Series, Window
from kitepipe.plan import Known, merge, plan_windows, subtract
from kitepipe.sessions import period_of, settled_through
from kitepipe.staging import Cursor, Staging
from kitepipe.staging_errors import translated
from kitepipe.staging_gap_times import missing_times
from kitepipe.staging_gaps import (
    FailedWindow,
    StagedGap,
    failed_windows,
    find_gaps,
    find_holes,
    series_names,
)
from kitepipe.staging_series import SeriesKey, StagedKnowledge, key_of, select_known

Windows = dict[SeriesKey, list[Window]]


def all_gaps(cursor: Cursor) -> list[Gap]:
    """Return everything that staging lacks, by name and date."""
    found = _with_times(cursor, find_gaps(cursor))
    names, known = series_names(cursor), select_known(cursor, oi=None)
    failures = failed_windows(cursor)
    for key, windows in _unanswered(known, failures).items():
        if key in names:  # else only the warehouse knows it, and nothing of it was asked
            found += [_failed(names[key], window, key, failures) for window in windows]
    return sorted(found, key=lambda gap: (gap.series, gap.first))


def holes_since(staging: Staging, keys: Sequence[SeriesKey], since: date | None) -> list[Gap]:
    """Return the holes of some series that are not confirmed, from a date on (None: all).

    Raises StagingError where there is no room for what the search puts on the disk.
    """
    with translated(staging.path), staging.cursor() as cursor:
        with nullcontext() if staging.is_shared else staging.sparing():
            found = find_holes(cursor, keys, since)
        return _with_times(cursor, found)


def _with_times(cursor: Cursor, found: Sequence[StagedGap]) -> list[Gap]:
    """Return the gaps; those of short sessions name the candles that are missing."""
    times = missing_times(cursor, [one.short for one in found if one.short])
    return [replace(one.gap, times=times[one.short]) if one.short else one.gap for one in found]


def repair_jobs(
    cursor: Cursor,
    series: Iterable[Series],
    known: Mapping[SeriesKey, StagedKnowledge],
    horizon: Horizon,
) -> list[Job]:
    """Return jobs that ask for unconfirmed holes, and for what failed or was left out between.

    A hole that was asked for on this IST date is left alone: it would be no confirmation.
    """
    all_series = {key_of(one): one for one in series}
    wanted = _unanswered(known, failed_windows(cursor))
    today = horizon.now.astimezone(IST).date()
    for one in find_holes(cursor, list(all_series)):
        if one.asked and one.asked < today:
            wanted.setdefault(one.key, []).append(one.window)
    jobs = (
        _job(one, known.get(key, StagedKnowledge(Known())), wanted[key], horizon)
        for key, one in all_series.items()
        if key in wanted
    )
    return [job for job in jobs if job]


def _unanswered(
    known: Mapping[SeriesKey, StagedKnowledge], failures: Iterable[FailedWindow]
) -> Windows:
    """Return the dates that failed, and those between covered ones that were never asked."""
    windows: Windows = {}
    for failure in failures:
        windows.setdefault(failure.key, []).append(failure.window)
    for key, staged in known.items():
        covered, first = staged.known.covered, staged.known.first_session
        if covered and first and first <= covered[-1].last:
            windows.setdefault(key, []).append(Window(first, covered[-1].last))
    return {
        key: gaps
        for key, some in windows.items()
        if key[1] in set(Interval) and (gaps := _less(some, known.get(key)))
    }


def _less(windows: Iterable[Window], staged: StagedKnowledge | None) -> list[Window]:
    covered = staged.known.covered if staged else ()
    return [part for window in merge(windows) for part in subtract(window, covered)]


def _failed(name: str, window: Window, key: SeriesKey, failures: Iterable[FailedWindow]) -> Gap:
    errors = (
        f.error for f in failures if f.key == key and subtract(window, [f.window]) != [window]
    )
    return Gap(name, GapKind.FAILED, window.first, window.last, why=next(errors, "never asked"))


def _job(
    series: Series, staged: StagedKnowledge, windows: Iterable[Window], horizon: Horizon
) -> Job | None:
    bounds, known, now = horizon.bounds, staged.known, horizon.now
    holes = _within(_joined(windows, series.interval.max_days), bounds.first, bounds.last)
    if not holes:
        return None
    span = Window(holes[0].first, holes[-1].last)
    settled = settled_through(series.instrument.exchange, now, horizon.margin)
    rest = Known(tuple(subtract(span, holes)), known.last_session, known.period)
    planned = plan_windows(span, rest, series.interval, settled=settled, period=period_of(now))
    begin = min([span.first, *(window.first for window in known.covered[:1])])
    today = now.astimezone(IST).date()
    return Job(
        series,
        deque(planned),
        life=Window(begin, max(span.last, min(today, series.instrument.expiry or today))),
        settled=settled,
        epoch=staged.epoch,
        session=known.last_session,
        period=known.period,
        first=known.first_session,
    )


def _joined(windows: Iterable[Window], max_days: int) -> list[Window]:
    """Join windows that fit into one request: requests are what is scarce."""
    joined: list[Window] = []
    for window in merge(windows):
        if joined and (window.last - joined[-1].first).days < max_days:
            joined[-1] = Window(joined[-1].first, window.last)
        else:
            joined.append(window)
    return joined


def _within(windows: Iterable[Window], first: date | None, last: date | None) -> list[Window]:
    span = Window(first or date.min, last or date.max - timedelta(days=1))
    return [
        Window(max(one.first, span.first), min(one.last, span.last))
        for one in windows
        if one.last >= span.first and one.first <= span.last
    ]
