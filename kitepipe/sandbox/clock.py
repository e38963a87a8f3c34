"""The sandbox's clock: the real one, a standing one, or one that runs from a chosen instant."""

import time
from datetime import UTC, date, datetime, timedelta

from kitepipe.model import IST, utc_now

_EPOCH_IST = datetime(1970, 1, 1, tzinfo=IST)


def as_instant(when: datetime) -> datetime:
    """Return `when` as an aware instant; without an offset it is read as IST."""
    return when if when.tzinfo is not None else when.replace(tzinfo=IST)


def ist_seconds(when: datetime) -> float:
    """Return seconds since 1970-01-01 00:00 on IST's wall clock."""
    return (as_instant(when) - _EPOCH_IST).total_seconds()


def ist_days(day: date) -> int:
    """Return days since 1970-01-01."""
    return (day - date(1970, 1, 1)).days


class SandboxClock:
    """Tells the sandbox's time; tests move it."""

    def __init__(self, now: datetime | None = None, runs: bool = False) -> None:
        self._runs = runs
        self._set_at = 0.0
        self._now: datetime | None = None
        self.set(now)

    def set(self, now: datetime | None, runs: bool | None = None) -> None:
        """Move the clock to `now` (None: back to the real clock)."""
        if runs is not None:
            self._runs = runs
        self._now = as_instant(now).astimezone(UTC) if now is not None else None
        self._set_at = time.monotonic()

    def now(self) -> datetime:
        """Return the sandbox's current instant, in UTC."""
        if self._now is None:
            return utc_now()
        if not self._runs:
            return self._now
        return self._now + timedelta(seconds=time.monotonic() - self._set_at)
