"""Stage 1: uncovered windows to raw replies in staging.

Pool threads do HTTP, the main thread commits; windows of one series go one after another, series
side by side. Whatever fails is told at the end and stops nobody else.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from kitepipe.errors import (
    AllInstrumentsFailed,
    InstrumentRefused,
    KiteUnreachable,
    RequestFailed,
    WindowTooWide,
)
from kitepipe.fetch_pool import Outcome, Pool
from kitepipe.fetch_queue import Job, batches, in_order
from kitepipe.kite import KiteClientWrapper
from kitepipe.model import Reply, Window, utc_now
from kitepipe.plan import chunk_date_range, halves
from kitepipe.progress import Progress
from kitepipe.sessions import judged_at, period_of, reply_settled_through
from kitepipe.staging import Staging
from kitepipe.staging_replies import Asked, Rebase, ReplyWriter
from kitepipe.staging_series import find_rebase
from kitepipe.summary import Failure, FetchReport

log = logging.getLogger(__name__)

# So many windows failing in a row, whosever they are, are Kite's fault and not theirs.
_FAILURES_IN_A_ROW = 20


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """How a run of `fetch` goes; `deadline` and `max_requests` bound it."""

    parallel_workers: int = 8
    batch_size: int = 50
    margin: timedelta = timedelta(minutes=15)
    max_requests: int | None = None
    deadline: datetime | None = None
    clock: Callable[[], datetime] = utc_now


@dataclass(slots=True)
class _Tally:
    """What is counted on the way."""

    planned: int = 0
    done: int = 0
    retries: int = 0
    replies: int = 0
    bytes: int = 0
    candles: int = 0
    failures: list[Failure] = field(default_factory=list)
    failed_in_a_row: int = 0
    refused_or_failed: set[int] = field(default_factory=set)
    succeeded: set[int] = field(default_factory=set)
    rebased: list[str] = field(default_factory=list)
    warnings: set[str] = field(default_factory=set)


def fetch(
    staging: Staging,
    kite: KiteClientWrapper,
    jobs: Sequence[Job],
    options: FetchOptions,
    progress: Progress,
    *,
    on_done: Callable[[Job], None] = lambda job: None,
    on_beat: Callable[[int, int, int], None] = lambda done, planned, failures: None,
) -> FetchReport:
    """Ask every window of `jobs` and commit each reply before it is reported.

    `on_done` is told of each series whose windows are all over, `on_beat` at least once a second
    of windows done, planned and failed. Raises AuthenticationError or PlanMissing at once when
    Kite ends the session, KiteUnreachable, or AllInstrumentsFailed; what was staged stays.
    """
    run = _Run(staging, kite, options, on_done, on_beat)
    return run.all_of(jobs, progress)


class _Run:
    """One run of the stage: who is in the pool, who waits, what was counted."""

    def __init__(
        self,
        staging: Staging,
        kite: KiteClientWrapper,
        options: FetchOptions,
        on_done: Callable[[Job], None],
        on_beat: Callable[[int, int, int], None],
    ) -> None:
        self._kite, self._options = kite, options
        self._on_done, self._on_beat = on_done, on_beat
        self._cursor = staging.cursor()
        self._staging = staging
        self._tally = _Tally()
        self._caps: dict[str, int] = {}
        self._in_flight = 0
        self._requests_before = kite.requests

    def all_of(self, jobs: Sequence[Job], progress: Progress) -> FetchReport:
        started = time.monotonic()
        self._tally.planned = sum(len(job.windows) for job in jobs)
        pool: Pool[tuple[Job, Window, datetime], Reply] = Pool(
            self._options.parallel_workers, self._ask
        )
        with (
            ReplyWriter(self._staging) as self._writer,
            progress.meter("fetch", self._tally.planned, "requests") as self._meter,
        ):
            try:
                self._work_through(jobs, pool)
            finally:
                self._save_the_rest(pool)
                self._cursor.close()
        return self._report(jobs, time.monotonic() - started)

    def _ask(self, asked: tuple[Job, Window, datetime]) -> Reply:
        job, window, _ = asked
        return self._kite.fetch_reply(job.series, window)

    def _work_through(
        self, jobs: Sequence[Job], pool: Pool[tuple[Job, Window, datetime], Reply]
    ) -> None:
        waiting = in_order(batches(jobs, self._options.batch_size))
        active, exhausted = 0, False
        while True:
            while active < self._options.parallel_workers and not exhausted:
                job = next(waiting, None)
                exhausted = job is None
                if job is not None:
                    active += self._go_on(job, pool)
            if not active:
                return
            self._on_beat(self._tally.done, self._tally.planned, len(self._tally.failures))
            outcome = pool.next_outcome(timeout_s=0.5)
            if outcome is not None:
                self._in_flight -= 1
                self._settle(outcome)
                active += self._go_on(outcome.job[0], pool) - 1

    def _go_on(self, job: Job, pool: Pool[tuple[Job, Window, datetime], Reply]) -> int:
        """Submit the job's next window; 0 where it has none left or the run is bounded."""
        if not job.windows or self._is_bounded():
            self._on_done(job)
            return 0
        now = self._options.clock()
        pool.submit((job, job.next_window(period_of(now)), now))
        self._in_flight += 1
        return 1

    def _is_bounded(self) -> bool:
        options = self._options
        sent = self._kite.requests - self._requests_before + self._in_flight
        if options.max_requests is not None and sent >= options.max_requests:
            return True
        return options.deadline is not None and options.clock() >= options.deadline

    def _settle(self, outcome: Outcome[tuple[Job, Window, datetime], Reply]) -> None:
        job, window, asked_at = outcome.job
        error = outcome.error
        attempts = getattr(error if error else outcome.result, "attempts", 1)
        asked = Asked(job.series, window, job.epoch, asked_at, attempts)
        self._tally.retries += attempts - 1
        if outcome.result is not None:
            self._succeed(job, asked, outcome.result)
        elif isinstance(error, WindowTooWide) and window.days > 1:
            self._split(job, window, error)
        elif isinstance(error, RequestFailed):
            self._fail(job, asked, error)
        elif error is not None:
            raise error

    def _succeed(self, job: Job, asked: Asked, reply: Reply) -> None:
        judged, doubted = judged_at(reply.http_date, reply.fetched_at)
        if doubted:
            self._tally.warnings.add(_clock_warning(reply))
        exchange = job.series.instrument.exchange
        newest = next(iter(reply.contents.newest_sessions), None)
        settled = reply_settled_through(exchange, judged, self._options.margin, newest)
        rebase = None
        if job.must_compare and job.session and job.session in asked.window:
            rebase = find_rebase(self._cursor, job.series, job.epoch, job.session, reply)
        self._writer.commit(asked, reply, settled, rebase)
        job.learn(reply, settled, period_of(judged))
        if rebase:
            self._begin_epoch(job, asked.window, reply, settled, rebase)
        self._count(job, reply)
        self._advance(f"{job.series} {asked.window}")
        log.debug("%s %s: %d candles", job.series, asked.window, reply.contents.rows)

    def _count(self, job: Job, reply: Reply) -> None:
        tally = self._tally
        tally.failed_in_a_row = 0
        tally.succeeded.add(job.series.instrument_key)
        tally.replies += 1
        tally.bytes += len(reply.body)
        tally.candles += reply.contents.rows

    def _begin_epoch(
        self, job: Job, window: Window, reply: Reply, settled: date, rebase: Rebase
    ) -> None:
        """Ask the whole series again: it stands on a new price base."""
        text = f"{job.series}: re-based by {rebase.ratio:.6g}, seen on {rebase.session}"
        log.warning("%s; its whole history is asked again", text)
        self._tally.rebased.append(text)
        before = len(job.windows)
        known = Window(window.first, min(window.last, settled)) if window.first <= settled else None
        job.begin_epoch(reply.fetched_at, known, self._caps.get(job.series.interval))
        self._plan_more(len(job.windows) - before)

    def _plan_more(self, more: int) -> None:
        self._tally.planned += more
        self._meter.grow(more)

    def _split(self, job: Job, window: Window, error: WindowTooWide) -> None:
        """The server's cap is smaller than ours: its own is used from now on."""
        interval = job.series.interval
        cap = error.max_days if error.max_days and error.max_days < window.days else None
        parts = (
            chunk_date_range(window.first, window.last, interval, cap) if cap else halves(window)
        )
        self._caps[interval] = min(self._caps.get(interval, interval.max_days), parts[0].days)
        log.warning("%s %s: %s; split into %d", job.series, window, error, len(parts))
        job.windows.extendleft(reversed(parts))
        self._plan_more(len(parts) - 1)

    def _fail(self, job: Job, asked: Asked, error: RequestFailed) -> None:
        tally = self._tally
        self._writer.commit_failure(asked, str(error))
        tally.failures.append(Failure(f"{job.series} {asked.window}", str(error)))
        tally.refused_or_failed.add(job.series.instrument_key)
        log.warning("%s", error)
        self._advance(f"{job.series} {asked.window} failed")
        if isinstance(error, InstrumentRefused) or job.must_compare:
            # Without the shared session nobody could tell on which price base the rest stands.
            self._plan_more(-len(job.windows))
            job.windows.clear()
        if isinstance(error, InstrumentRefused):
            return
        tally.failed_in_a_row += 1
        if tally.failed_in_a_row >= _FAILURES_IN_A_ROW:
            raise KiteUnreachable(
                f"{tally.failed_in_a_row} windows failed one after another, the last with: "
                f"{error}; what was staged is kept, run again later"
            )

    def _advance(self, detail: str) -> None:
        self._tally.done += 1
        self._meter.advance(1, detail)

    def _save_the_rest(self, pool: Pool[tuple[Job, Window, datetime], Reply]) -> None:
        """Commit the replies that have come in, whatever ended the run."""
        pool.close()
        while (outcome := pool.next_outcome(timeout_s=0)) is not None:
            if outcome.result is not None:
                self._settle(outcome)

    def _report(self, jobs: Sequence[Job], seconds: float) -> FetchReport:
        tally = self._tally
        keys = {job.series.instrument_key for job in jobs}
        if tally.failures and not tally.succeeded and tally.refused_or_failed >= keys:
            raise AllInstrumentsFailed(
                f"all {len(keys)} instruments failed; the first: {tally.failures[0].why}"
            )
        left = tally.planned - tally.done
        return FetchReport(
            instruments=len(keys),
            series=len(jobs),
            windows_planned=tally.planned,
            windows_done=tally.done,
            requests=self._kite.requests - self._requests_before,
            retries=tally.retries,
            replies=tally.replies,
            bytes=tally.bytes,
            candles=tally.candles,
            rebased=tally.rebased,
            seconds=seconds,
            failures=tally.failures,
            warnings=sorted(tally.warnings),
            interrupted=f"bounded: {left} windows left for the next run" if left > 0 else "",
        )


def _clock_warning(reply: Reply) -> str:
    if reply.http_date is None:
        return "Kite's answers carry no Date: dates are settled by this machine's clock"
    minutes = (reply.fetched_at - reply.http_date).total_seconds() / 60
    return (
        f"this machine's clock is {abs(minutes):.0f} minutes "
        f"{'ahead of' if minutes > 0 else 'behind'} Kite's; the earlier of both settles dates"
    )
