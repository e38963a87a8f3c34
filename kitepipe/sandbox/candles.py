"""Candles as columns of integers, and what is done to whole columns: cut, group, re-base.

Nothing here is one candle at a time: a reply of 22,500 candles has to cost milliseconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from kitepipe.sandbox.tradingdays import IntArray

TICK = 5  # paise


@dataclass(frozen=True, slots=True)
class Candles:
    """Columns of equal length in time order: opens in IST minutes since 1970, prices in paise.

    `anchor` is the open of the session that a candle belongs to: larger candles count from it.
    """

    at: IntArray
    anchor: IntArray
    open: IntArray
    high: IntArray
    low: IntArray
    close: IntArray
    volume: IntArray
    oi: IntArray

    def __len__(self) -> int:
        return len(self.at)

    def take(self, rows: slice | IntArray | npt.NDArray[np.bool_]) -> "Candles":
        """Return these rows only: a slice, a mask or positions."""
        return Candles(*(column[rows] for column in self.columns()))

    def columns(self) -> list[IntArray]:
        """Return the columns in the order of the fields."""
        return [getattr(self, field.name) for field in fields(self)]


def empty() -> Candles:
    """Return no candles."""
    return Candles(*(np.empty(0, np.int64) for _ in fields(Candles)))


def join(parts: Sequence[Candles]) -> Candles:
    """Return the parts one after another."""
    if not parts:
        return empty()
    columns = zip(*(part.columns() for part in parts), strict=True)
    return Candles(*(np.concatenate(column) for column in columns))


def to_tick(paise: npt.NDArray[np.float64]) -> IntArray:
    """Round to 0.05 rupees, and never to nothing."""
    return np.maximum(np.floor(paise / TICK + 0.5).astype(np.int64) * TICK, TICK)


def group(candles: Candles, minutes: int) -> Candles:
    """Group minute candles into larger ones, counted from each session's open."""
    if not len(candles) or minutes == 1:
        return candles
    bucket = candles.anchor + (candles.at - candles.anchor) // minutes * minutes
    first = np.flatnonzero(np.r_[True, bucket[1:] != bucket[:-1]])
    last = np.r_[first[1:], len(bucket)] - 1
    return Candles(
        at=bucket[first],
        anchor=candles.anchor[first],
        open=candles.open[first],
        high=np.maximum.reduceat(candles.high, first),
        low=np.minimum.reduceat(candles.low, first),
        close=candles.close[last],
        volume=np.add.reduceat(candles.volume, first),
        oi=candles.oi[last],
    )


def rebase(candles: Candles, splits: Sequence[tuple[int, float]]) -> Candles:
    """Divide prices and multiply volumes before each (ex-date's midnight in IST minutes, ratio)."""
    if not splits:
        return candles
    ratio = np.ones(len(candles))
    for midnight, factor in splits:
        ratio[candles.at < midnight] *= factor
    old = ratio != 1.0

    def divided(prices: IntArray) -> IntArray:
        return np.where(old, to_tick(prices / ratio), prices)

    return Candles(
        candles.at,
        candles.anchor,
        divided(candles.open),
        divided(candles.high),
        divided(candles.low),
        divided(candles.close),
        np.where(old, np.rint(candles.volume * ratio).astype(np.int64), candles.volume),
        candles.oi,
    )
