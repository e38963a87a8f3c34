"""The warehouse's nouns: ledger rows, counts, series rows; frozen, without a connection.

Instants are aware and UTC; `at_us` is microseconds since 1970; dates are IST.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

NEVER_REBASED = datetime(1970, 1, 1, tzinfo=UTC)

Ends = tuple[datetime | None, datetime | None]

_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class QuarantinedCandle(NamedTuple):
    """A candle that broke a rule; `position` counts from 0 in its reply.

    `trade_date` is its IST date, None where that is unknown or was not asked for.
    """

    staging_id: str
    reply_id: int
    position: int
    rule: str
    raw: str
    trade_date: date | None = None


class QuarantinedReply(NamedTuple):
    """A reply of which candles are in quarantine; `settles` tells whether it decides any date."""

    staging_id: str
    reply_id: int
    fetched_at: datetime
    window_first: date
    settles: bool

    @property
    def key(self) -> tuple[str, int]:
        """Return the ledger's key."""
        return self.staging_id, self.reply_id


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One reply in the ledger; `first` to `last` are the dates it decides, None: it decides none.

    `window_first` to `window_last` are the dates that were asked; instants are UTC.
    """

    staging_id: str
    reply_id: int
    sha256: str
    fetched_at: datetime
    window_first: date
    window_last: date
    first: date | None
    last: date | None
    epoch: datetime = NEVER_REBASED

    @property
    def key(self) -> tuple[str, int]:
        """Return the ledger's key."""
        return self.staging_id, self.reply_id

    def row(self, instrument_id: int, interval: str) -> tuple[Any, ...]:
        """Return it in the columns of warehouse_claim_replies.sql, as a reply of that series."""
        return (
            *(self.staging_id, self.reply_id, instrument_id, interval, self.sha256),
            *(self.window_first, self.window_last, self.fetched_at, self.epoch),
            *(self.first, self.last),
        )


@dataclass(frozen=True, slots=True)
class ReplyCounts:
    """What became of one reply's candles in one transaction."""

    new: int = 0
    changed: int = 0
    gone: int = 0
    equal: int = 0
    held: int = 0
    quarantined: int = 0


@dataclass(frozen=True, slots=True)
class SeriesState:
    """What the warehouse knows of a series; `last_success` is its newest reply's fetched_at."""

    first: datetime | None
    last: datetime | None
    rows: int
    epoch: datetime = NEVER_REBASED
    last_success: datetime | None = None


def instant(at_us: int) -> datetime:
    """Return microseconds since 1970 as an instant in UTC, exactly."""
    return _UNIX_EPOCH + timedelta(microseconds=int(at_us))


def microseconds(moment: datetime) -> int:
    """Return an aware instant as microseconds since 1970, exactly."""
    return (moment - _UNIX_EPOCH) // _MICROSECOND


def storable(text: str) -> str:
    """Return text that PostgreSQL can keep: NUL and lone surrogates are written as escapes."""
    clean = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return clean.replace("\0", "\\x00")


class Tally:
    """What one transaction did to a series, so that its row stays exact without counting."""

    def __init__(self, recount: bool = False) -> None:
        self.recount = recount
        self._new = self._gone = 0
        self._new_ends: list[int] = []
        self._gone_ends: list[int] = []

    def add(self, at_us: npt.NDArray[np.int64]) -> None:
        """Take note of new candles; not empty."""
        self._new += len(at_us)
        self._new_ends += [int(at_us.min()), int(at_us.max())]

    def remove(self, at_us: npt.NDArray[np.int64], gone: int) -> None:
        """Take note of `gone` deleted candles within these instants; not empty."""
        self._gone += gone
        self._gone_ends += [int(at_us.min()), int(at_us.max())]

    def apply(self, before: SeriesState, ends: Callable[[], Ends]) -> SeriesState:
        """Return the state after; `ends` asks the table, only where an end itself was deleted."""
        rows = before.rows + self._new - self._gone
        known = [microseconds(end) for end in (before.first, before.last) if end] + self._new_ends
        if self._gone and (
            not known or min(self._gone_ends) <= min(known) or max(self._gone_ends) >= max(known)
        ):
            return SeriesState(*ends(), rows)
        if not known:
            return SeriesState(None, None, rows)
        return SeriesState(instant(min(known)), instant(max(known)), rows)
