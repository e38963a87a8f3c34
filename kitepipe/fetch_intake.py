"""What becomes of each answer: committed, compared, split or failed, and counted.

Only the main thread is here: it owns the staging file's writer.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from kitepipe.errors import InstrumentRefused, KiteUnreachable, RequestFailed, WindowTooWide
from kitepipe.fetch_pool import Outcome
from kitepipe.fetch_queue import Job, Lane
from kitepipe.fetch_tally import Tally
from kitepipe.model import Reply, Window
from kitepipe.progress import Meter
from kitepipe.sessions import judged_at, period_of, reply_settled_through
from kitepipe.staging import Cursor
from kitepipe.staging_replies import Asked, Rebase, ReplyWriter
from kitepipe.staging_series import find_rebase
from kitepipe.summary import Failure

log = logging.getLogger(__name__)

# So many windows failing in a row, of several instruments or before anything came, are Kite's
# fault and not theirs.
_FAILURES_IN_A_ROW = 20


@dataclass(frozen=True, slots=True)
class Request:
    """One window on its way, and the instrument whose other windows wait for it."""

    lane: Lane
    job: Job
    window: Window
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class Intake:
    """Where answers arrive; `cursor` reads what `writer` has staged."""

    cursor: Cursor
    writer: ReplyWriter
    meter: Meter
    margin: timedelta
    tally: Tally

    def next_window(self, job: Job, period: date) -> Window | None:
        """Take the job's next window, None at the end; no wider than the server has been seen."""
        before = len(job.windows)
        if cap := self.tally.caps.get(job.series.interval):
            job.narrow(cap)
        window = job.next_window(period)
        self._plan_more(len(job.windows) + (window is not None) - before)
        return window

    def settle(self, outcome: Outcome[Request, Reply]) -> None:
        """Do what an outcome asks for; raise the errors that end the run."""
        request, error = outcome.job, outcome.error
        attempts = getattr(error or outcome.result, "attempts", 1)
        job, window = request.job, request.window
        asked = Asked(job.series, window, job.epoch, request.asked_at, attempts)
        self.tally.retries += attempts - 1
        if outcome.result is not None:
            self._succeed(job, asked, outcome.result)
        elif isinstance(error, WindowTooWide) and window.days > 1:
            self._narrow(job, window, error)
        elif isinstance(error, RequestFailed):
            self._fail(request, asked, error)
        elif error is not None:
            raise error

    def _succeed(self, job: Job, asked: Asked, reply: Reply) -> None:
        judged, doubted = judged_at(reply.http_date, reply.fetched_at)
        if doubted:
            self.tally.doubt_clock(reply)
        # Kite's clock is the one that all staging files share: ours may be ahead.
        reply = self.writer.stamped(replace(reply, fetched_at=judged))
        exchange = job.series.instrument.exchange
        newest = next(iter(reply.contents.newest_sessions), None)
        settled = reply_settled_through(exchange, judged, self.margin, newest)
        rebase = None
        if job.must_compare and job.session and job.session in asked.window:
            rebase = find_rebase(self.cursor, job.series, job.epoch, job.session, reply)
        self.writer.commit(asked, reply, settled, rebase)
        before = len(job.windows)
        job.learn(asked.window, reply, settled, period_of(asked.asked_at), period_of(judged))
        self._plan_more(len(job.windows) - before)
        if rebase:
            self._begin_epoch(job, asked.window, reply, settled, rebase)
        self.tally.count(job, reply)
        self._advance(f"{job.series} {asked.window}")
        log.debug("%s %s: %d candles", job.series, asked.window, reply.contents.rows)

    def _begin_epoch(
        self, job: Job, window: Window, reply: Reply, settled: date, rebase: Rebase
    ) -> None:
        """Ask the whole series again: it stands on a new price base."""
        text = f"{job.series}: re-based by {rebase.ratio:.6g}, seen on {rebase.session}"
        log.warning("%s; its whole history is asked again", text)
        self.tally.rebased.append(text)
        before = len(job.windows)
        known = Window(window.first, min(window.last, settled)) if window.first <= settled else None
        job.begin_epoch(reply.fetched_at, known)
        self._plan_more(len(job.windows) - before)

    def _narrow(self, job: Job, window: Window, error: WindowTooWide) -> None:
        """The server's cap is smaller than ours: its own is used from now on."""
        named = error.max_days
        cap = named if named and named < window.days else (window.days + 1) // 2
        known = self.tally.caps.get(job.series.interval, cap)
        self.tally.caps[job.series.interval] = min(known, cap)
        log.warning("%s; asked in windows of %d days from now on", error, cap)
        job.windows.appendleft(window)

    def _fail(self, request: Request, asked: Asked, error: RequestFailed) -> None:
        job, why = request.job, str(error)
        job.failed = True
        self.writer.commit_failure(asked, why)
        if isinstance(error, InstrumentRefused):
            self._drop(request.lane)
        elif job.must_compare:
            # Without the shared session nobody could tell on which price base the rest stands.
            if job.windows:
                why += f"; {len(job.windows)} more windows wait for it"
            self._drop([job])
        elif job.series.probe:
            self._drop([job])  # it proves nothing any more
        log.warning("%s", why)
        self.tally.failures.append(Failure(f"{job.series} {asked.window}", why))
        self.tally.failed.add(job.series.instrument_key)
        self._advance(f"{job.series} {asked.window} failed")
        if not isinstance(error, InstrumentRefused):
            self._count_on(job, why)

    def _count_on(self, job: Job, why: str) -> None:
        """Count a failure in a row; too many are the end."""
        in_a_row = self.tally.failed_in_a_row
        in_a_row.append(job.series.instrument_key)
        is_general = len(set(in_a_row)) > 1 or not (self.tally.succeeded or self.tally.up_to_date)
        if len(in_a_row) >= _FAILURES_IN_A_ROW and is_general:
            raise KiteUnreachable(
                f"{len(in_a_row)} windows failed one after another, the last with: {why}; what "
                "was staged is kept, run again later"
            )

    def give_up(self, job: Job) -> None:
        """Ask nothing more of a series."""
        self._drop([job])

    def _drop(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            self._plan_more(-len(job.windows))
            job.windows.clear()
            job.must_compare = False

    def _plan_more(self, more: int) -> None:
        if more:
            self.tally.planned += more
            self.meter.grow(more)

    def _advance(self, detail: str) -> None:
        self.tally.done += 1
        self.meter.advance(1, detail)
