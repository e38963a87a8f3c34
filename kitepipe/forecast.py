"""What a plan will cost: requests, hours at the rate limit, bytes."""

from kitepipe.fetch_agenda import Agenda
from kitepipe.model import Interval
from kitepipe.ratelimit import HEADROOM
from kitepipe.summary import PlanReport

# Of a reply with ordinary prices: `["2024-01-01T09:15:00+0530",1704.5,1705,1699.25,1702.8,2499],`
_BYTES_A_CANDLE = 61
# 250 sessions a year, of 375 minutes on the exchanges that have the most instruments.
_SESSIONS_A_DAY = 250 / 365
_SESSION_MINUTES = 375


def forecast(agenda: Agenda, rate_limit: float, instruments: int) -> PlanReport:
    """Return what `agenda` would ask, without asking it; `bytes` is an estimate from above."""
    return PlanReport(
        instruments=instruments,
        series=agenda.series,
        requests=agenda.requests,
        hours=agenda.requests * HEADROOM / rate_limit / 3600,
        bytes=sum(_bytes(interval, days) for interval, days in agenda.days.items()),
        lines=agenda.lines(),
    )


def _bytes(interval: Interval, days: int) -> int:
    a_day = 1 if interval is Interval.DAY else -(-_SESSION_MINUTES // interval.minutes)
    return round(days * _SESSIONS_A_DAY * a_day * _BYTES_A_CANDLE)
