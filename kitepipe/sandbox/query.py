"""A request for history, read and judged as Kite does: dates, caps, continuous."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from kitepipe.model import IST, Interval
from kitepipe.sandbox.clock import ist_seconds
from kitepipe.sandbox.replies import input_error

_FORMS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d")
_TRUE = ("1", "true")


@dataclass(frozen=True, slots=True)
class Query:
    """Candles wanted: opens between `first_s` and `last_s`, IST seconds, both inclusive."""

    token: int
    interval: Interval
    first_s: int
    last_s: int
    oi: bool
    continuous: bool


def parse_query(
    token: str, interval: str, params: Mapping[str, str], caps: Mapping[str, int]
) -> Query:
    """Read one request; raise KiteError with Kite's message for what is wrong with it."""
    if not token.isdigit():
        raise input_error("invalid token")
    try:
        known = Interval(interval)
    except ValueError:
        raise input_error("invalid interval") from None
    first = _instant(params.get("from", ""), "from")
    last = _instant(params.get("to", ""), "to")
    if first > last:
        raise input_error("from date should be less than to date")
    most = caps.get(known.value, known.max_days)
    # Whether Kite counts inclusive dates is not proven: the stricter reading is taken.
    if (last.date() - first.date()).days + 1 > most:
        raise input_error(f"interval exceeds max limit: {most} days")
    return Query(
        token=int(token),
        interval=known,
        first_s=int(ist_seconds(first)),
        last_s=int(ist_seconds(last)),
        oi=params.get("oi", "0").lower() in _TRUE,
        continuous=params.get("continuous", "0").lower() in _TRUE,
    )


def _instant(text: str, which: str) -> datetime:
    for form in _FORMS:
        try:
            return datetime.strptime(text.strip(), form).replace(tzinfo=IST)
        except ValueError:
            continue
    raise input_error(f"invalid {which} date")
