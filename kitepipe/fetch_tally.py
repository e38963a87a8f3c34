"""What a fetch counts on its way, and the report that it makes of it."""

from dataclasses import dataclass, field

from kitepipe.errors import AllInstrumentsFailed
from kitepipe.fetch_queue import Job
from kitepipe.model import Interval, Reply
from kitepipe.summary import Failure, FetchReport


@dataclass(slots=True)
class Tally:
    """The counts of one run; instruments are counted by their key, caps are the server's own.

    `instruments` and `series` are all that it is to ask, `planned` the windows. `up_to_date`
    instruments have nothing to ask: the run cannot fail them.
    """

    instruments: int = 0
    series: int = 0
    planned: int = 0
    up_to_date: int = 0
    done: int = 0
    retries: int = 0
    replies: int = 0
    bytes: int = 0
    candles: int = 0
    failures: list[Failure] = field(default_factory=list)
    failed_in_a_row: list[int] = field(default_factory=list)
    failed: set[int] = field(default_factory=set)
    succeeded: set[int] = field(default_factory=set)
    rebased: list[str] = field(default_factory=list)
    caps: dict[Interval, int] = field(default_factory=dict)
    clock_warning: str = ""

    def count(self, job: Job, reply: Reply) -> None:
        """Count a reply that has been committed."""
        self.failed_in_a_row.clear()
        self.succeeded.add(job.series.instrument_key)
        self.replies += 1
        self.bytes += len(reply.body)
        self.candles += reply.contents.rows

    def doubt_clock(self, reply: Reply) -> None:
        """Say once that Kite's clock is missing, or far from this machine's."""
        self.clock_warning = self.clock_warning or _clock_warning(reply)

    def check(self) -> None:
        """Raise AllInstrumentsFailed where nothing else happened, and no other was wanted."""
        all_failed = len(self.failed) >= self.instruments
        all_failed = all_failed and not self.up_to_date and not self.succeeded
        if self.failures and all_failed:
            raise AllInstrumentsFailed(
                f"all {self.instruments} instruments failed; the first: {self.failures[0].why}"
            )

    def report(self, requests: int, seconds: float) -> FetchReport:
        """Return the report of the run, as far as it has come."""
        left = self.planned - self.done
        return FetchReport(
            instruments=self.instruments,
            series=self.series,
            windows_planned=self.planned,
            windows_done=self.done,
            requests=requests,
            retries=self.retries,
            replies=self.replies,
            bytes=self.bytes,
            candles=self.candles,
            rebased=self.rebased,
            seconds=seconds,
            failures=self.failures,
            warnings=[self.clock_warning] if self.clock_warning else [],
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
