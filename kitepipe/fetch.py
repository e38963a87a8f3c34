"""Stage 1: uncovered windows to raw replies in staging.

Pool threads do HTTP, the main thread commits; windows of one instrument go one after another,
instruments side by side. Whatever fails is told at the end and stops nobody else.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from kitepipe.errors import KitepipeError
from kitepipe.fetch_agenda import Agenda
from kitepipe.fetch_intake import Intake, Request
from kitepipe.fetch_pool import Pool
from kitepipe.fetch_queue import Job, Lane, batches, in_order
from kitepipe.fetch_tally import Tally
from kitepipe.holder import renew
from kitepipe.kite import KiteClientWrapper
from kitepipe.model import Reply, utc_now
from kitepipe.progress import Progress, Silent
from kitepipe.sessions import period_of
from kitepipe.staging import Staging
from kitepipe.staging_instruments import dump_date
from kitepipe.staging_replies import ReplyWriter
from kitepipe.summary import FetchReport

_SEALS_A_SPELL = 64  # of 16 MB each


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """How a run of `fetch` goes; `deadline` and `max_requests` bound it.

    `up_to_date` instruments are wanted as well, and have nothing to ask.
    """

    parallel_workers: int = 8
    batch_size: int = 50
    margin: timedelta = timedelta(minutes=15)
    max_requests: int | None = None
    deadline: datetime | None = None
    clock: Callable[[], datetime] = utc_now
    up_to_date: int = 0


@dataclass(frozen=True, slots=True)
class Audience:
    """Who is told how a run goes, in the main thread.

    `on_done` of each series when nothing more will be asked of it, `on_beat` at least once a second
    of windows done, planned and failed.
    """

    progress: Progress = field(default_factory=Silent)
    on_done: Callable[[Job], None] = lambda job: None
    on_beat: Callable[[int, int, int], None] = lambda done, planned, failures: None


def fetch(
    staging: Staging,
    kite: KiteClientWrapper,
    agenda: Agenda,
    options: FetchOptions,
    audience: Audience,
) -> FetchReport:
    """Ask every window of `agenda` and commit each reply before it is reported.

    Raises AuthenticationError or PlanMissing at once when Kite ends the session, KiteUnreachable,
    or AllInstrumentsFailed; each carries the report, and what was staged stays.
    """
    started, before = time.monotonic(), kite.requests
    tally = Tally(agenda.instruments, agenda.series, agenda.requests, options.up_to_date)

    def report() -> FetchReport:
        counted = tally.report(kite.requests - before, time.monotonic() - started)
        return replace(counted, found_rate=kite.found_rate)

    try:
        with (
            ReplyWriter(staging) as writer,
            staging.cursor() as cursor,
            staging.sparing(),
            audience.progress.meter("fetch", tally.planned, "requests") as meter,
        ):
            intake = Intake(cursor, writer, meter, options.margin, tally)
            _Run(kite, staging, intake, options, audience).work_through(agenda)
        tally.check()
    except KitepipeError as error:
        error.report = report()
        raise
    return report()


class _Run:
    """Who is in the pool and who comes next."""

    def __init__(
        self,
        kite: KiteClientWrapper,
        staging: Staging,
        intake: Intake,
        options: FetchOptions,
        audience: Audience,
    ) -> None:
        self._kite, self._staging, self._intake = kite, staging, intake
        self._options, self._audience = options, audience
        self._pool: Pool[Request, Reply] = Pool(options.parallel_workers, self._ask)
        self._submitted = 0
        self._renewed = 0

    def work_through(self, agenda: Agenda) -> None:
        size = self._options.batch_size
        count = -(-agenda.instruments // size)
        try:
            # Whole batches are named in the log: the next one is made when it is about to begin.
            self._work_through(in_order(batches(agenda.in_turn(), size), count))
        finally:
            self._kite.stop()  # whoever waits to try again need not: its window is not settled
            self._save_the_rest()

    def _ask(self, request: Request) -> Reply:
        return self._kite.fetch_reply(request.job.series, request.window)

    def _work_through(self, waiting: Iterator[Lane]) -> None:
        tally, busy = self._intake.tally, 0
        while True:
            while busy < self._options.parallel_workers and not self._is_bounded():
                lane = next(waiting, None)
                if lane is None:
                    break
                busy += self._go_on(lane)
            if not busy:
                return
            self._audience.on_beat(tally.done, tally.planned, len(tally.failures))
            outcome = self._pool.next_outcome(timeout_s=0.5)
            if outcome is not None:
                self._intake.settle(outcome)
                self._renew()
                busy += self._go_on(outcome.job.lane) - 1

    def _go_on(self, lane: Lane) -> int:
        """Submit the instrument's next window; 0 where it has none left or the run is bounded."""
        while lane:
            job, now = lane[0], self._options.clock()
            over = self._is_bounded()
            if job.series.instrument.is_expired(dump_date(now)):
                self._intake.give_up(job)  # its token may be another contract's by now
            window = None if over else self._intake.next_window(job, period_of(now))
            if window:
                self._pool.submit(Request(lane, job, window, now))
                self._submitted += 1
                return 1
            lane.popleft()
            self._audience.on_done(job)
        return 0

    def _is_bounded(self) -> bool:
        options = self._options
        sent = self._submitted + self._intake.tally.retries
        if options.max_requests is not None and sent >= options.max_requests:
            return True
        return options.deadline is not None and options.clock() >= options.deadline

    def _renew(self) -> None:
        """Take the file anew each GB: DuckDB keeps 17 kB of each seal as long as it is attached.

        36,500 replies of 1 MB so take 230 MB of memory, and took 255. Not where somebody loads from
        the file in this process.
        """
        seals = self._intake.writer.seals
        is_due = seals - self._renewed >= _SEALS_A_SPELL and not self._staging.is_shared
        if is_due and renew(self._staging):
            self._renewed = seals

    def _save_the_rest(self) -> None:
        """Commit the replies that have come in, whatever ended the run."""
        self._pool.close()
        while (outcome := self._pool.next_outcome(timeout_s=0)) is not None:
            if outcome.result is not None and self._staging.is_attached:
                self._intake.settle(outcome)
