"""When a trading date is settled: the latest close of its exchange, plus a margin.

A candle fetched before its date is settled may still change; it is staged, held, asked again.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from kitepipe.model import IST


@dataclass(frozen=True, slots=True)
class Close:
    """The latest close on `exchange`, IST wall clock, in force from `since`."""

    exchange: str
    since: date
    at: time
    source: str


_EVER = date(1990, 1, 1)
_AUCTION = date(2026, 8, 3)

# Saturday sessions need no row: those that end before the regular close settle with it, and a date
# on which a reply shows no candle is never settled before it is over.
CLOSES = (
    Close("NSE", _EVER, time(15, 30), "NSE market timings"),
    Close("NSE", _AUCTION, time(15, 35), "NSE closing auction session, from 2026-08-03"),
    Close("BSE", _EVER, time(15, 30), "BSE market timings"),
    Close("BSE", _AUCTION, time(15, 35), "BSE closing auction session, from 2026-08-03"),
    Close("NFO", _EVER, time(15, 30), "NSE equity derivatives timings"),
    Close("NFO", _AUCTION, time(15, 40), "NSE equity derivatives, from 2026-08-03"),
    Close("BFO", _EVER, time(15, 30), "BSE equity derivatives timings"),
    Close("BFO", _AUCTION, time(15, 40), "BSE equity derivatives, from 2026-08-03"),
    Close("CDS", _EVER, time(19, 30), "NSE currency derivatives; cross currency pairs to 19:30"),
    Close("BCD", _EVER, time(19, 30), "BSE currency derivatives; cross currency pairs to 19:30"),
    Close("MCX", _EVER, time(23, 55), "MCX, outside US daylight saving time (23:30 within)"),
    Close("NCO", _EVER, time(23, 55), "NSE commodity derivatives, as MCX"),
)

# On the evening of Lakshmi Puja the exchanges hold an hour of Muhurat trading: 18:15 to 19:15 in
# most years, 13:45 to 14:45 in 2025. The date is that of a new moon in October or November, and the
# hour is told by circular some weeks before. So on the evenings from two days before the mean new
# moon to a day after (the true one is up to 14 hours off) nothing settles before 21:00; those of
# 2013 to 2026 are among them (tests/test_sessions.py has their sources).
_MUHURAT_SEASON = ((10, 13), (11, 16))
_MUHURAT_CLOSE = time(21, 0)
_NEW_MOON = datetime(2000, 1, 6, 18, 14, tzinfo=UTC)
_LUNAR_MONTH = timedelta(days=29.530588853)

# MCX and NCO close 25 minutes later while the United States keep standard time (rule since 2007).
_SEASONAL = ("MCX", "NCO")
_SEASONS = range(2007, 2100)


def hour_changes() -> list[tuple[str, date]]:
    """Return since when each exchange has had other hours than before, as far as is known."""
    ruled = [(close.exchange, close.since) for close in CLOSES if close.since > _EVER]
    days = [_sunday(date(year, *at)) for year in _SEASONS for at in ((3, 8), (11, 1))]
    return [*ruled, *((exchange, day) for exchange in _SEASONAL for day in days)]


def _sunday(day: date) -> date:
    """Return the first Sunday from `day` on."""
    return day + timedelta(days=6 - day.weekday())


def may_be_muhurat(day: date) -> bool:
    """Tell whether an evening session may be held: some three days a year, that of Diwali in it."""
    first, last = _MUHURAT_SEASON
    evening = datetime.combine(day, time(18), IST)
    since = (evening - _NEW_MOON + timedelta(days=2)) % _LUNAR_MONTH
    return first <= (day.month, day.day) <= last and since <= timedelta(days=3)


def settles_at(exchange: str, day: date, margin: timedelta) -> datetime:
    """Return the IST instant from which `day` is settled; an unknown exchange waits for 00:00."""
    rows = [c for c in CLOSES if c.exchange == exchange and c.since <= day]
    if not rows:
        return datetime.combine(day + timedelta(days=1), time(0), IST) + margin
    close = max(rows, key=lambda c: c.since).at
    if may_be_muhurat(day):
        close = max(close, _MUHURAT_CLOSE)
    return datetime.combine(day, close, IST) + margin


def settled_through(exchange: str, at: datetime, margin: timedelta) -> date:
    """Return the last date that is settled at the instant `at`: today, or a day or two before."""
    day = at.astimezone(IST).date()
    while settles_at(exchange, day, margin) > at:
        day -= timedelta(days=1)
    return day


def reply_settled_through(
    exchange: str, at: datetime, margin: timedelta, last_candle: date | None
) -> date:
    """Return the last date that a reply of the instant `at` settles.

    Without a candle on it, a date is settled only when it is over: an evening session may follow.
    """
    today = at.astimezone(IST).date()
    settled = settled_through(exchange, at, margin)
    if settled == today and last_candle != today:
        return today - timedelta(days=1)
    return settled


def judged_at(http_date: datetime | None, fetched_at: datetime) -> tuple[datetime, bool]:
    """Return the instant by which a reply is judged, and whether the clocks are to be doubted.

    Kite's own clock counts; where it is missing or more than 5 minutes off ours, the earlier.
    """
    if http_date is None:
        return fetched_at, True
    doubted = abs(http_date - fetched_at) > timedelta(minutes=5)
    return (min(http_date, fetched_at) if doubted else http_date), doubted


def period_of(at: datetime) -> date:
    """Return the period of `at`: from 08:00 IST of that date to 08:00 of the next.

    Kite re-bases history by about 08:00 IST: replies of one period stand on one price base.
    """
    return (at.astimezone(IST) - timedelta(hours=8)).date()


def utc_bounds(first: date, last: date) -> tuple[int, int]:
    """Return the first and last microsecond since 1970, UTC, of inclusive IST dates."""
    start = datetime.combine(first, time(0), IST)
    end = datetime.combine(last + timedelta(days=1), time(0), IST)
    unix = datetime(1970, 1, 1, tzinfo=UTC)
    microsecond = timedelta(microseconds=1)
    return (start - unix) // microsecond, (end - unix) // microsecond - 1
