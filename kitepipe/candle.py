"""One candle as Kite says it, and the rules that tell a good one from a bad one.

The same rules stand in sql/staging_create_*_candle.sql for whole replies; a property test holds
both to one verdict on the same JSON. A rule added here is added there.
"""

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any

from kitepipe.model import IST, Interval, Window

FIELDS = ("date", "open", "high", "low", "close", "volume", "oi")

# What validate() answers, in the order in which rules are tried; `duplicate` concerns a reply.
RULES = (
    "malformed",
    "missing_field",
    "bad_date",
    "date_without_offset",
    "number_as_string",
    "not_a_number",
    "fractional_volume",
    "fractional_oi",
    "non_positive_price",
    "high_below_low",
    "open_outside",
    "close_outside",
    "negative_volume",
    "volume_overflow",
    "negative_oi",
    "oi_overflow",
    "outside_window",
    "off_grid",
    "duplicate",
)

_DATE = re.compile(
    r"((?:19|20)\d\d-\d\d-\d\d)[T ]((?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d)"
    r"(Z|([+-])([01]\d|2[0-3]):?([0-5]\d))?",
    re.ASCII,
)
_NUMERAL = re.compile(r"[ \t\r\n]*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?[ \t\r\n]*", re.ASCII)
_MAX_COUNT = 2**63 - 1


@dataclass(frozen=True, slots=True)
class OHLCVCandle:
    """A candle; its date is the instant of its open.

    Fields are typed as a good candle has them. Of a bad one each field keeps what Kite sent, so
    that `validate()` can name the rule; None stands where nothing was sent.
    """

    date: datetime
    open: float
    high: float
    low: float
    close: float
    volume: int
    oi: int | None = None
    malformed: bool = False

    @classmethod
    def from_kite_response(cls, raw: Any) -> "OHLCVCandle":
        """Take an array `[date, o, h, l, c, volume(, oi)]` or an object of the same names.

        An object may call its date `timestamp`. Nothing is judged: even what is no candle at all
        becomes one, for `validate()` to refuse.
        """
        if isinstance(raw, dict):
            values: list[Any] = [raw.get(name) for name in FIELDS]
            if values[0] is None:
                values[0] = raw.get("timestamp")
        elif isinstance(raw, list | tuple) and len(raw) <= len(FIELDS):
            values = [*raw, *[None] * (len(FIELDS) - len(raw))]
        else:
            values = [*[None] * len(FIELDS), True]
            return cls(*values)
        return cls(_moment(values[0]), *values[1:])

    def to_dict(self) -> dict[str, Any]:
        """Return the seven fields by Kite's names."""
        return {name: getattr(self, name) for name in FIELDS}

    def validate(
        self, interval: Interval | None = None, window: Window | None = None
    ) -> str | None:
        """Return the first rule that the candle breaks, None when it is good.

        Without an interval or a window, the rules that need it are not tried.
        """
        return (
            self._broken_form()
            or _broken_type([self.open, self.high, self.low, self.close, self.volume, self.oi])
            or self._broken_fraction()
            or self._broken_price()
            or _broken_count("volume", self.volume)
            or (_broken_count("oi", self.oi) if self.oi is not None else None)
            or self._broken_place(interval, window)
        )

    def at_us(self, interval: Interval) -> int:
        """Return the open in UTC microseconds; a day candle's is 00:00 of its IST date."""
        moment = self.date.astimezone(IST)
        if interval is Interval.DAY:
            moment = datetime.combine(moment.date(), time(), IST)
        return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)

    def _broken_form(self) -> str | None:
        if self.malformed:
            return "malformed"
        if any(getattr(self, name) is None for name in FIELDS[:-1]):
            return "missing_field"
        moment: Any = self.date
        if not isinstance(moment, datetime) or not 1900 <= moment.year <= 2099:
            return "bad_date"
        return "date_without_offset" if moment.utcoffset() is None else None

    def _broken_fraction(self) -> str | None:
        if not float(self.volume).is_integer():
            return "fractional_volume"
        if self.oi is not None and not float(self.oi).is_integer():
            return "fractional_oi"
        return None

    def _broken_price(self) -> str | None:
        # As doubles, which is what is stored: two whole numbers may differ and be one double.
        opened, high, low, close = (float(x) for x in (self.open, self.high, self.low, self.close))
        if min(opened, high, low, close) <= 0:
            return "non_positive_price"
        if high < low:
            return "high_below_low"
        if not low <= opened <= high:
            return "open_outside"
        return None if low <= close <= high else "close_outside"

    def _broken_place(self, interval: Interval | None, window: Window | None) -> str | None:
        moment = self.date.astimezone(IST)
        if window and not window.first <= moment.date() <= window.last:
            return "outside_window"
        if interval is None or interval is Interval.DAY:
            return None
        # The grid is that of whole quarters: sessions open at 09:00 or 09:15, Muhurat at 13:45.
        grid = timedelta(minutes=math.gcd(interval.minutes, 15))
        since_midnight = moment.replace(tzinfo=None) - datetime.combine(moment.date(), time())
        return "off_grid" if since_midnight % grid else None


def verdicts(
    candles: Sequence[OHLCVCandle], interval: Interval, window: Window | None = None
) -> list[str | None]:
    """Judge the candles of one reply together: one verdict each, in their order.

    Good candles of one instant with different values are all "duplicate"; where the values are
    equal all are good, and any one may be taken.
    """
    found = [candle.validate(interval, window) for candle in candles]
    same: dict[int, list[int]] = defaultdict(list)
    for position, (candle, rule) in enumerate(zip(candles, found, strict=True)):
        if rule is None:
            same[candle.at_us(interval)].append(position)
    for positions in same.values():
        if len({_stored(candles[position]) for position in positions}) > 1:
            for position in positions:
                found[position] = "duplicate"
    return found


def _stored(candle: OHLCVCandle) -> tuple[float | int | None, ...]:
    prices = (float(candle.open), float(candle.high), float(candle.low), float(candle.close))
    return (*prices, int(candle.volume), None if candle.oi is None else int(candle.oi))


def _moment(value: Any) -> Any:
    """Read a date text; what is no valid date stays as it is."""
    found = _DATE.fullmatch(value) if isinstance(value, str) else None
    if not found:
        return value
    day, clock, zone, sign, hours, minutes = found.groups()
    try:
        wall_clock = datetime.combine(date.fromisoformat(day), time.fromisoformat(clock))
    except ValueError:
        return value
    if zone is None:
        return wall_clock
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    return wall_clock.replace(tzinfo=timezone(-offset if sign == "-" else offset))


def _broken_type(numbers: Iterable[Any]) -> str | None:
    sent = [number for number in numbers if number is not None]
    if any(isinstance(number, str) and _NUMERAL.fullmatch(number) for number in sent):
        return "number_as_string"
    return None if all(map(_is_finite, sent)) else "not_a_number"


def _is_finite(number: Any) -> bool:
    if isinstance(number, bool) or not isinstance(number, int | float):
        return False
    try:
        return math.isfinite(number)
    except OverflowError:  # a whole number beyond every double
        return False


def _broken_count(name: str, count: int) -> str | None:
    if count < 0:
        return f"negative_{name}"
    return f"{name}_overflow" if count > _MAX_COUNT else None
