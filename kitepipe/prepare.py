"""Make a fetch ready: open Kite and staging, take dumps where none is fresh, plan.

The order matters: the session is proven before anything else is done, and Kite's clock, not
this machine's, says what day it is.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import partial

from kitepipe import fetch as stage
from kitepipe.adopt import adopt_coverage
from kitepipe.config import Settings
from kitepipe.doors import wanted_instruments, warehouse_dsn
from kitepipe.doors_kite import kite_door
from kitepipe.errors import (
    KitepipeError,
    KiteUnreachable,
    RequestFailed,
    StagingError,
    UsageError,
)
from kitepipe.fetch_agenda import Agenda, agenda_of, plan_agenda
from kitepipe.fetch_plan import Horizon
from kitepipe.fetch_queue import Job
from kitepipe.gaps import holes_since, repair_jobs
from kitepipe.holder import Beat, writing
from kitepipe.kite import KiteClientWrapper
from kitepipe.lost import new_losses
from kitepipe.model import IST, Interval
from kitepipe.plan import Bounds
from kitepipe.progress import Progress
from kitepipe.sessions import judged_at
from kitepipe.staging import Cursor, Staging
from kitepipe.staging_instruments import (
    idle_patterns,
    stale_exchanges,
    take_snapshot,
    unknown_symbols,
)
from kitepipe.staging_series import SeriesKey, keep_oi, note_known, select_noted
from kitepipe.staging_wanted import select_series, select_unknown_series, want_instruments
from kitepipe.summary import Failure, FetchReport, SnapshotReport

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Fetching:
    """A fetch that is ready to go: its doors are open, and it is planned what to ask."""

    staging: Staging
    kite: KiteClientWrapper
    beat: Beat
    agenda: Agenda
    instruments: int
    options: stage.FetchOptions
    warnings: list[str]
    losses: Callable[[Cursor], list[Failure]]
    asked: set[SeriesKey] = field(default_factory=set)  # series of which this run staged something

    def begun(self) -> Iterator[Job]:
        """Yield the jobs that an early end left behind."""
        return (job for lane in self.agenda.begun for job in lane)

    def go(
        self, progress: Progress, on_done: Callable[[Job], None] = lambda job: None
    ) -> FetchReport:
        """Ask all that is planned; an error that ends it carries the report so far."""

        def done(job: Job) -> None:
            if job.staged:
                self.asked.add(job.staged.key)
            on_done(job)

        audience = stage.Audience(progress, done, self.beat)
        try:
            report = stage.fetch(self.staging, self.kite, self.agenda, self.options, audience)
        except KitepipeError as error:
            if isinstance(error.report, FetchReport):
                error.report = self._whole(error.report)
            raise
        with self.staging.cursor() as cursor:
            report = replace(report, failures=report.failures + self.losses(cursor))
        return self._whole(self._with_holes(report))

    def _with_holes(self, report: FetchReport) -> FetchReport:
        """Name the holes that are left in what this run has asked."""
        if not self.asked:
            return report
        since = None if report.rebased else self.agenda.since
        try:
            return replace(report, holes=holes_since(self.staging, list(self.asked), since))
        except StagingError as error:  # all is staged, and what it says stays true
            return replace(report, warnings=[*report.warnings, f"holes: not looked for: {error}"])

    def _whole(self, report: FetchReport) -> FetchReport:
        """Add what the stage does not know: instruments with nothing to ask are told as well."""
        warnings = self.warnings + report.warnings
        return replace(report, instruments=self.instruments, warnings=warnings)


@contextmanager
def fetching(
    settings: Settings, bounds: Bounds, verb: str, clock: Clock, progress: Progress
) -> Iterator[Fetching]:
    """Open Kite and staging, take dumps where none is fresh, and plan."""
    with (
        kite_door(settings, wait=bounds.wait) as kite,
        staging_door(settings, kite, verb, wait=bounds.wait) as (staging, beat),
        staging.cursor() as cursor,
    ):
        kite.clock = clock
        now = kite_now(kite, clock)
        scopes = settings.exchanges or ("",)
        take_dumps(staging, kite, stale_exchanges(cursor, scopes, now), now, progress)
        if unknown := unknown_symbols(cursor, settings.tradingsymbols):
            names = [f"{name} ({like}?)" if like else name for name, like in unknown.items()]
            raise UsageError(
                f"tradingsymbols: {', '.join(names)}: no such instrument is listed; spell "
                "it as Kite does, such as NSE:INFY"
            )
        instruments = _want(settings, cursor, now.astimezone(IST).date())
        margin = timedelta(minutes=settings.settle_margin_minutes)
        horizon = Horizon(bounds, settings.bootstrap_date, now, margin)
        _note_known(settings, bounds, cursor)
        agenda = _plan(settings, cursor, horizon)
        warnings = [
            f"tradingsymbols: {pattern} matches nothing that is listed"
            for pattern in idle_patterns(cursor, settings.tradingsymbols)
        ]
        if not instruments:
            warnings.append("no listed instrument matches the filters: nothing to do")
        warnings += _idle_bounds(horizon)
        options = stage.FetchOptions(
            settings.parallel_workers,
            settings.batch_size,
            margin,
            bounds.max_requests,
            _deadline(bounds, now),
            _running_from(now, clock),
            instruments - agenda.instruments,
        )
        losses = partial(new_losses, settings, now.astimezone(IST).date())
        yield Fetching(staging, kite, beat, agenda, instruments, options, warnings, losses)


def _idle_bounds(horizon: Horizon) -> list[str]:
    """Say which bound leaves nothing to ask."""
    first, last = horizon.bounds.first, horizon.bounds.last
    today, begin = horizon.now.astimezone(IST).date(), horizon.bootstrap
    after = f"--from {first} is after today, {today}: nothing to ask"
    before = f"--to {last} is before bootstrap_date, {begin}: nothing to ask"
    return [after] * bool(first and first > today) + [before] * bool(last and last < begin)


def _want(settings: Settings, cursor: Cursor, today: date) -> int:
    """Note which instruments are wanted on an IST date, and return how many they are."""
    wanted = wanted_instruments(settings, today)
    continuous = settings.continuous and Interval.DAY in settings.candle_interval
    return want_instruments(cursor, wanted, continuous=continuous)


def _note_known(settings: Settings, bounds: Bounds, cursor: Cursor) -> None:
    """Note what staging knows; of what it does not, what the warehouse covers is adopted."""
    note_known(cursor, oi=settings.oi)
    if settings.dsn is None or bounds.from_scratch:
        return
    unknown = select_unknown_series(cursor, settings.candle_interval, oi=settings.oi)
    if unknown:
        with warehouse_dsn(settings) as dsn:
            adopted = adopt_coverage(cursor, dsn, settings.api_root, unknown)
        if adopted:
            note_known(cursor, oi=settings.oi)


def _plan(settings: Settings, cursor: Cursor, horizon: Horizon) -> Agenda:
    intervals = settings.candle_interval
    if not horizon.bounds.repair:
        return plan_agenda(cursor, intervals, horizon, oi=settings.oi)
    known = select_noted(cursor)
    series = keep_oi(select_series(cursor, intervals, oi=settings.oi), known)
    return agenda_of(repair_jobs(cursor, series, known, horizon))


@contextmanager
def staging_door(
    settings: Settings, kite: KiteClientWrapper, verb: str, *, wait: bool
) -> Iterator[tuple[Staging, Beat]]:
    """Open the staging file for writing; errors as `writing`.

    Before a new one is made Kite is asked: a file is bound to its api_root for good, and a mistyped
    one must leave nothing behind.
    """
    if not settings.staging.exists():
        kite.check_session()
    place, archive = settings.staging, settings.archive
    with writing(place, settings.api_root, verb, wait=wait, archive=archive) as opened:
        yield opened


def kite_now(kite: KiteClientWrapper, clock: Clock) -> datetime:
    """Ask Kite whether the session is good, and what time it is there."""
    return judged_at(kite.check_session(), clock())[0]


def _running_from(now: datetime, clock: Clock) -> Clock:
    """Return a clock that shows `now` at this instant: Kite's day and period count, not ours."""
    ahead = now - clock()
    return lambda: clock() + ahead


def take_dumps(
    staging: Staging,
    kite: KiteClientWrapper,
    exchanges: Sequence[str],
    now: datetime,
    progress: Progress,
) -> SnapshotReport:
    """Take the dump of each exchange ("" is all at once) and return what they changed.

    Raises KiteUnreachable where one cannot be had: without it nobody knows what to ask.
    """
    reports = [SnapshotReport(taken=False)]
    if exchanges:
        with progress.meter("instruments", len(exchanges), "dumps") as meter:
            for exchange in exchanges:
                try:
                    dump, _ = kite.fetch_instruments(exchange)
                except RequestFailed as error:
                    raise KiteUnreachable(str(error)) from error
                reports.append(take_snapshot(staging, dump, exchange, now))
                meter.advance(1, exchange)
    return SnapshotReport.sum(reports)


def _deadline(bounds: Bounds, now: datetime) -> datetime | None:
    """Return the next instant at which IST clocks show `bounds.until`."""
    if bounds.until is None:
        return None
    today = now.astimezone(IST)
    deadline = datetime.combine(today.date(), bounds.until, IST)
    return deadline if deadline > today else deadline + timedelta(days=1)
