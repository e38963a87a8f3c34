"""Single candles that change, vanish or appear from an instant on: Kite mends its history."""

import json
import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from kitepipe.model import IST, Interval
from kitepipe.sandbox.clock import ist_seconds
from kitepipe.sandbox.query import Query

_FIELDS = ("date", "open", "high", "low", "close", "volume", "oi")
Rows = list[bytes]


@dataclass(frozen=True, slots=True)
class Correction:
    """What happens to the candle that opens at `at`: new values, a raw JSON text, or its end.

    `since` is the instant from which it is served so, None for always.
    """

    at: datetime
    values: Mapping[str, float | str | None] = field(default_factory=dict)
    raw: str | None = None
    gone: bool = False
    since: datetime | None = None

    @property
    def stamp(self) -> bytes:
        """Return the candle's date as Kite writes it."""
        return self.at.astimezone(IST).strftime("%Y-%m-%dT%H:%M:%S+0530").encode()


class Corrections:
    """All corrections of a sandbox, by history and interval, in the order they were made."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[tuple[str, Interval], list[Correction]] = defaultdict(list)

    def add(self, key: str, interval: Interval, correction: Correction) -> None:
        """Make one more."""
        with self._lock:
            self._made[key, interval].append(correction)

    def due(self, key: str, query: Query, now: datetime) -> Sequence[Correction]:
        """Return those that concern a query at `now`."""
        with self._lock:
            made = list(self._made.get((key, query.interval), ()))
        return [
            one
            for one in made
            if (one.since is None or one.since <= now)
            and query.first_s <= ist_seconds(one.at) <= query.last_s
            and one.at <= now
        ]


def corrected(rows: bytes, corrections: Sequence[Correction], query: Query) -> bytes:
    """Return `[..],[..]` with the corrections made, candle by candle."""
    texts = [b"[" + text + b"]" for text in rows[1:-1].split(b"],[")] if rows else []
    for one in corrections:
        texts = _apply(texts, one, query)
    return b",".join(texts)


def _apply(rows: Rows, one: Correction, query: Query) -> Rows:
    # A day candle is known by its date, whatever time of day its stamp shows.
    end = 12 if query.interval is Interval.DAY else 26
    named = one.stamp[: end - 2]
    where = next((i for i, row in enumerate(rows) if row[2:end] == named), None)
    if one.gone:
        return rows if where is None else rows[:where] + rows[where + 1 :]
    if where is not None:
        return [*rows[:where], _text(rows[where], one, query.oi), *rows[where + 1 :]]
    later = next((i for i, row in enumerate(rows) if row[2:end] > named), len(rows))
    return [*rows[:later], _text(None, one, query.oi), *rows[later:]]


def _text(row: bytes | None, one: Correction, oi: bool) -> bytes:
    if one.raw is not None:
        return one.raw.encode()
    price = one.values.get("close", 100)
    old = json.loads(row) if row else [one.stamp.decode(), price, price, price, price, 0, 0]
    values = dict(zip(_FIELDS, old, strict=False)) | dict(one.values)
    kept = _FIELDS if oi else _FIELDS[:-1]
    return json.dumps([values[name] for name in kept], separators=(",", ":")).encode()
