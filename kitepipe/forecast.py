"""What a plan will cost: requests, hours at the rate limit, bytes."""

from collections.abc import Sequence

from kitepipe.fetch_queue import Job
from kitepipe.model import Interval
from kitepipe.ratelimit import HEADROOM
from kitepipe.summary import PlanLine, PlanReport

# Of a reply with ordinary prices: `["2024-01-01T09:15:00+0530",1704.5,1705,1699.25,1702.8,2499],`
_BYTES_A_CANDLE = 61
# 250 sessions a year, of 375 minutes on the exchanges that have the most instruments.
_SESSIONS_A_DAY = 250 / 365
_SESSION_MINUTES = 375


def forecast(jobs: Sequence[Job], rate_limit: float, instruments: int) -> PlanReport:
    """Return what `jobs` would ask, without asking it; `bytes` is an estimate from above."""
    requests = sum(len(job.windows) for job in jobs)
    return PlanReport(
        instruments=instruments,
        series=len(jobs),
        requests=requests,
        hours=requests * HEADROOM / rate_limit / 3600,
        bytes=sum(_bytes(job) for job in jobs),
        lines=[_line(job) for job in jobs],
    )


def _line(job: Job) -> PlanLine:
    return PlanLine(
        str(job.series),
        len(job.windows),
        min(window.first for window in job.windows),
        max(window.last for window in job.windows),
    )


def _bytes(job: Job) -> int:
    days = sum(window.days for window in job.windows)
    interval = job.series.interval
    a_day = 1 if interval is Interval.DAY else -(-_SESSION_MINUTES // interval.minutes)
    return round(days * _SESSIONS_A_DAY * a_day * _BYTES_A_CANDLE)
