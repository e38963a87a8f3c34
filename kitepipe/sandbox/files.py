"""Real candles from a folder: `instruments.csv` and `<interval>/<EXCHANGE>-<tradingsymbol>.csv`.

Values pass through digit for digit and rows keep the order of their file.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from pathlib import Path

import numpy as np

from kitepipe.errors import UsageError
from kitepipe.model import IST, Instrument, Interval
from kitepipe.sandbox.clock import ist_seconds
from kitepipe.sandbox.query import Query
from kitepipe.sandbox.series import Listed, Spec
from kitepipe.sandbox.tradingdays import IntArray

_CLOSE_S = {"NFO": 15 * 3600 + 2400, "MCX": 23 * 3600 + 3300}
_NSE_CLOSE_S = 15 * 3600 + 1800
_MINUTE_WRONG_S, _DAY_WRONG_S = 10, 600
_TICK = Decimal("0.05")


@dataclass(frozen=True, slots=True)
class _Table:
    at: IntArray  # IST seconds
    stamps: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]


def read_instruments(folder: Path) -> tuple[Listed, ...]:
    """Read `instruments.csv`; the rows stay as they are written."""
    path = folder / "instruments.csv"
    if not path.is_file():
        raise UsageError(f"sandbox: {path} is missing; --data needs a folder with instruments.csv")
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = csv.DictReader(lines)
    return tuple(_listed(row, line) for row, line in zip(rows, lines[1:], strict=True))


def _listed(row: dict[str, str], line: str) -> Listed:
    instrument = Instrument(
        instrument_token=int(row["instrument_token"]),
        exchange=row["exchange"],
        tradingsymbol=row["tradingsymbol"],
        name=row["name"],
        instrument_type=row["instrument_type"],
        segment=row["segment"],
        expiry=date.fromisoformat(row["expiry"]) if row["expiry"] else None,
        strike=float(row["strike"] or 0),
        exchange_token=int(row["exchange_token"] or 0),
        tick_size=float(row["tick_size"] or 0),
        lot_size=int(row["lot_size"] or 0),
    )
    stem = f"{instrument.exchange}-{instrument.tradingsymbol}"
    spec = Spec(stem, instrument.instrument_token, instrument.exchange, date(1995, 1, 1))
    return Listed(instrument, spec, line)


class FileHistory:
    """Answers queries from the folder; a series without a file has no candles."""

    def __init__(self, folder: Path, day_stamp: str = "00:00:00") -> None:
        self._folder = folder
        self._day_stamp = day_stamp
        self._table = cache(self._read)

    def rows(
        self, spec: Spec, query: Query, now_s: float, splits: Sequence[tuple[date, float]]
    ) -> bytes:
        """Return the candles of a query as `[..],[..]`, as `SyntheticHistory.rows` does."""
        path = self._folder / query.interval.value / f"{spec.key}.csv"
        table = self._table(path, query.interval is Interval.DAY)
        if table is None:
            return b""
        opens = _session_opens(spec, query.interval, table)
        wanted = (table.at >= query.first_s) & (table.at <= query.last_s) & (opens <= now_s)
        over_s = _over(spec, query.interval, table)
        texts = []
        for row in np.flatnonzero(wanted):
            values = _split(table.values[row], int(table.at[row]), splits)
            if over_s[row] > now_s:
                values = _partial(values, (now_s - opens[row]) / (over_s[row] - opens[row]))
            texts.append(_text(table.stamps[row], values, query.oi))
        return b",".join(texts)

    def _read(self, path: Path, day: bool) -> _Table | None:
        if not path.is_file():
            return None
        with path.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.reader(lines))[1:]
        opens = [datetime.fromisoformat(row[0]).astimezone(IST) for row in rows]
        form = f"%Y-%m-%dT{self._day_stamp if day else '%H:%M:%S'}+0530"
        return _Table(
            np.array([int(ist_seconds(open_)) for open_ in opens], np.int64),
            tuple(open_.strftime(form) for open_ in opens),
            tuple(tuple(row[1:7]) for row in rows),
        )


def _session_opens(spec: Spec, interval: Interval, table: _Table) -> IntArray:
    if interval is not Interval.DAY:
        return table.at
    return table.at // 86400 * 86400 + (9 * 3600 if spec.market == "MCX" else 9 * 3600 + 900)


def _over(spec: Spec, interval: Interval, table: _Table) -> IntArray:
    """Return when each row is final, in IST seconds."""
    if interval is not Interval.DAY:
        return table.at + interval.minutes * 60 + _MINUTE_WRONG_S
    return table.at // 86400 * 86400 + _CLOSE_S.get(spec.market, _NSE_CLOSE_S) + _DAY_WRONG_S


def _split(
    values: tuple[str, ...], at_s: int, splits: Sequence[tuple[date, float]]
) -> tuple[str, ...]:
    if not splits:
        return values
    ratio = Decimal(1)
    for day, factor in splits:
        if at_s < ist_seconds(datetime(day.year, day.month, day.day, tzinfo=IST)):
            ratio *= Decimal(str(factor))
    if ratio == 1:
        return values
    prices = [
        (Decimal(text) / ratio / _TICK).quantize(Decimal(1), ROUND_HALF_UP) * _TICK
        for text in values[:4]
    ]
    volume = (Decimal(values[4]) * ratio).quantize(Decimal(1), ROUND_HALF_UP)
    return (*(f"{max(price, _TICK):f}" for price in prices), f"{volume:f}", values[5])


def _partial(values: tuple[str, ...], share: float) -> tuple[str, ...]:
    """Return a candle that is not over: less volume, and a close that is not the final one."""
    open_, high, low, close, volume, oi = values
    other = high if Decimal(high) != Decimal(close) else low
    if Decimal(other) == Decimal(close):
        other = high = f"{Decimal(high) + _TICK:f}"
    return open_, high, low, other, str(int(int(volume) * min(share, 0.999))), oi


def _text(stamp: str, values: Sequence[str], oi: bool) -> bytes:
    numbers = [text or "null" for text in values[: 6 if oi else 5]]
    return f'["{stamp}",{",".join(numbers)}]'.encode()
