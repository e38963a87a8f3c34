"""Which instruments are listed at an instant: the dump of the day and the changes made to it."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from kitepipe.errors import UsageError
from kitepipe.model import IST
from kitepipe.sandbox.series import Listed

HEADER = (
    "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,"
    "lot_size,instrument_type,segment,exchange"
)
_DUMP_MADE = timedelta(hours=8, minutes=30)  # IST
Rows = list[Listed]
Change = Callable[[Rows], Rows]


class Listing:
    """The dump as a function of the clock; `base` gives the rows of a date."""

    def __init__(self, base: Callable[[date], Sequence[Listed]]) -> None:
        self._base = base
        self._changes: list[tuple[datetime | None, Change]] = []
        self._cached: tuple[tuple[date, tuple[bool, ...]], dict[int, Listed]] | None = None
        self._lock = threading.Lock()

    def current(self, now: datetime) -> dict[int, Listed]:
        """Return what is listed at `now` by token, in the order of the dump."""
        day = (now.astimezone(IST) - _DUMP_MADE).date()
        with self._lock:
            active = tuple(at is None or at <= now for at, _ in self._changes)
            if self._cached is None or self._cached[0] != (day, active):
                rows = list(self._base(day))
                for is_active, (_, change) in zip(active, self._changes, strict=True):
                    rows = change(rows) if is_active else rows
                by_token = {row.instrument.instrument_token: row for row in rows}
                self._cached = ((day, active), by_token)
            return self._cached[1]

    def find(self, name: str | int, now: datetime) -> Listed:
        """Return the row of `NSE:INFY`, `INFY` or a token; UsageError when it is not listed."""
        for row in self.current(now).values():
            if _named(row, name):
                return row
        raise UsageError(f"sandbox: {name!r} is not listed at {now.astimezone(IST)}")

    def csv(self, now: datetime, exchange: str | None = None) -> bytes:
        """Return the dump, of one exchange or all, with the line ends of Kite's."""
        rows = self.current(now).values()
        lines = [row.csv() for row in rows if exchange in (None, row.instrument.exchange)]
        return "".join(f"{line}\r\n" for line in [HEADER, *lines]).encode()

    def add(self, row: Listed, at: datetime | None) -> None:
        """List one more instrument."""
        self._change(at, lambda rows: [*rows, row])

    def remove(self, name: str | int, at: datetime | None) -> None:
        """Take an instrument off the dump: its token is dead from then on."""
        self._change(at, lambda rows: [row for row in rows if not _named(row, name)])

    def rename(self, name: str | int, tradingsymbol: str, at: datetime | None) -> None:
        """Give an instrument another symbol; token and history stay."""
        self._edit(name, at, lambda row: _changed(row, tradingsymbol=tradingsymbol))

    def move_token(self, name: str | int, token: int, at: datetime | None) -> None:
        """Give an instrument another token; symbol and history stay, the old token is dead."""
        moved = {"instrument_token": token, "exchange_token": token // 256}
        self._edit(name, at, lambda row: _changed(row, **moved))

    def _edit(self, name: str | int, at: datetime | None, edit: Callable[[Listed], Listed]) -> None:
        self._change(at, lambda rows: [edit(row) if _named(row, name) else row for row in rows])

    def _change(self, at: datetime | None, change: Change) -> None:
        with self._lock:
            self._changes.append((at, change))


def _changed(row: Listed, **values: object) -> Listed:
    instrument = replace(row.instrument, **values)  # type: ignore[arg-type]
    # A row from a file keeps every other character; fields before the name have no commas.
    head = (instrument.instrument_token, instrument.exchange_token, instrument.tradingsymbol)
    text = ",".join([*map(str, head), *row.row.split(",")[3:]])
    return replace(row, instrument=instrument, row=text if row.row else "")


def _named(row: Listed, name: str | int) -> bool:
    if isinstance(name, int):
        return row.instrument.instrument_token == name
    return name in (row.instrument.tradingsymbol, str(row.instrument))
