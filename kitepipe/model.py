"""The nouns of kitepipe, frozen and without I/O.

Dates are IST dates; instants are UTC unless a name says `ist`; prices are rupees.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from enum import StrEnum

IST = timezone(timedelta(hours=5, minutes=30), "IST")

Body = bytes | bytearray  # of a reply, as Kite sent it; DuckDB gives numpy the latter

# The characters that steer a terminal or the direction of writing, for a class of a regular
# expression (Python's and DuckDB's).
STEERING = "\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"


class Interval(StrEnum):
    """Kite's candle intervals, with the most days one request may span (KITE: probes, staff)."""

    MINUTE = "minute"
    MINUTE_3 = "3minute"
    MINUTE_5 = "5minute"
    MINUTE_10 = "10minute"
    MINUTE_15 = "15minute"
    MINUTE_30 = "30minute"
    MINUTE_60 = "60minute"
    DAY = "day"

    @property
    def minutes(self) -> int:
        """Length of a candle in minutes; 1440 for day."""
        if self is Interval.DAY:
            return 1440
        return int(self.value.removesuffix("minute") or 1)

    @property
    def max_days(self) -> int:
        """Most inclusive IST dates in one request."""
        return _MAX_DAYS[self]

    @property
    def earliest(self) -> date:
        """First IST date for which Kite can have data at all."""
        return date(1995, 1, 1) if self is Interval.DAY else date(2015, 2, 1)


_MAX_DAYS = {
    Interval.MINUTE: 60,
    Interval.MINUTE_3: 100,
    Interval.MINUTE_5: 100,
    Interval.MINUTE_10: 100,
    Interval.MINUTE_15: 200,
    Interval.MINUTE_30: 200,
    Interval.MINUTE_60: 400,
    Interval.DAY: 2000,
}


@dataclass(frozen=True, slots=True)
class Instrument:
    """One row of Kite's instruments dump; `expiry` is None for what does not expire."""

    instrument_token: int
    exchange: str
    tradingsymbol: str
    name: str = ""
    instrument_type: str = "EQ"
    segment: str = ""
    expiry: date | None = None
    strike: float = 0.0
    exchange_token: int = 0
    tick_size: float = 0.0
    lot_size: int = 0

    def __str__(self) -> str:
        return f"{self.exchange}:{self.tradingsymbol}"

    def is_expired(self, day: date) -> bool:
        """Tell whether the dump of an IST date lists it no more."""
        return self.expiry is not None and self.expiry < day


@dataclass(frozen=True, slots=True)
class Window:
    """Whole IST dates, both inclusive, asked in one request."""

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.first > self.last:
            raise ValueError(f"window: {self.first} is after {self.last}")

    def __contains__(self, day: date) -> bool:
        return self.first <= day <= self.last

    @property
    def days(self) -> int:
        """Number of inclusive dates."""
        return (self.last - self.first).days + 1

    @property
    def from_text(self) -> str:
        """Kite's `from`: IST wall clock without an offset."""
        return f"{self.first} 00:00:00"

    @property
    def to_text(self) -> str:
        """Kite's `to`: IST wall clock without an offset."""
        return f"{self.last} 23:59:59"

    def __str__(self) -> str:
        return f"{self.first}..{self.last}"


@dataclass(frozen=True, slots=True)
class Series:
    """One instrument at one interval: what is planned, fetched and loaded as a whole.

    `instrument_key` is the staging file's own surrogate: it outlives tokens and symbols.
    """

    instrument_key: int
    instrument: Instrument
    interval: Interval
    snapshot_id: int
    oi: bool = False
    continuous: bool = False
    probe: bool = False  # asked only to find where history begins: staged, never loaded

    @property
    def staged_as(self) -> str:
        """The interval under which replies are staged: a probe's are apart."""
        return "probe" if self.probe else self.interval.value

    def __str__(self) -> str:
        return f"{self.instrument} {self.interval}{' (probe)' if self.probe else ''}"


@dataclass(frozen=True, slots=True)
class Contents:
    """What a reply's body contains, without parsing a candle.

    `dates` are the IST dates that have candles, in order, and `candles` how many each has.
    """

    rows: int
    dates: tuple[date, ...] = ()
    candles: tuple[int, ...] = ()

    @property
    def first_candle(self) -> date | None:
        """The earliest IST date with a candle."""
        return self.dates[0] if self.dates else None

    @property
    def newest_sessions(self) -> tuple[date, ...]:
        """The newest dates with a candle, three at most, newest first."""
        return self.dates[:-4:-1]


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete success reply as it came: `body` is the text after content decoding.

    `http_date` is the server's clock; `fetched_at` is ours as it comes, and by what it is ordered
    once it is taken in (see ReplyWriter.stamped); both UTC. `attempts` counts requests.
    """

    body: str
    fetched_at: datetime
    http_date: datetime | None
    contents: Contents
    attempts: int = 1


def utc_now() -> datetime:
    """Return the current instant, in UTC."""
    return datetime.now(UTC)


class GapKind(StrEnum):
    """Why candles are not there; only a hole is unexplained, and may yet be filled."""

    HOLE = "hole"
    FAILED = "failed"  # asked in vain, or never asked between dates that were
    ABSENT = "absent at source"  # a hole that replies of three days confirmed
    SUSPENDED = "suspended"
    SELDOM = "seldom traded"
    HELD = "held"  # not settled yet
    NOT_LISTED = "not listed"


@dataclass(frozen=True, slots=True)
class Times:
    """Candles that a session lacks, by their open: first and last as HH:MM IST, how many."""

    first: str
    last: str
    candles: int


@dataclass(frozen=True, slots=True)
class Gap:
    """What a series lacks: IST dates, the sessions among them, days that confirmed it.

    Of a short session, `times` are the candles that the whole session `like` has.
    """

    series: str
    kind: GapKind
    first: date
    last: date
    sessions: int = 0
    confirmed: int = 0
    why: str = ""
    times: tuple[Times, ...] = ()
    like: str = ""
