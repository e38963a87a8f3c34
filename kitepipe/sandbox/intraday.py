"""Synthetic minute candles: a bridge from each day's open to its last trade, inside its range.

Made by whole months, each from a seed of its own: any window gives the same candles.
"""

from datetime import date
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from kitepipe.sandbox.candles import TICK, Candles, empty, join, to_tick
from kitepipe.sandbox.clock import ist_days
from kitepipe.sandbox.daily import Days, day_candles
from kitepipe.sandbox.series import Spec
from kitepipe.sandbox.tradingdays import IntArray, trading_days

Floats = npt.NDArray[np.float64]
# Kite filled minutes without a trade in 2016 data; what it does today is not established.
_FILLED_UNTIL = ist_days(date(2017, 1, 1))
_MINUTES_SINCE = ist_days(date(2015, 2, 2))


def first_minute_day(spec: Spec) -> int:
    """Return the first day with intraday candles: about February 2015, varying by instrument."""
    return max(_MINUTES_SINCE + spec.seed % 40, ist_days(spec.first_day))


def minute_candles(spec: Spec, first: int, last: int) -> Candles:
    """Return minute candles that open between two IST minutes, both inclusive."""
    first = max(first, first_minute_day(spec) * 1440)
    days = day_candles(spec).day
    if not len(days) or first > last:
        return empty()
    first, last = max(first, int(days[0]) * 1440), min(last, int(days[-1]) * 1440 + 1439)
    if first > last:
        return empty()
    months = range(_month(first // 1440), _month(last // 1440) + 1)
    whole = join([_month_candles(spec, month) for month in months])
    low, high = np.searchsorted(whole.at, [first, last + 1])
    return whole.take(slice(int(low), int(high)))


def _month(day: int) -> int:
    return int(np.datetime64(day, "D").astype("datetime64[M]").astype(int))


@lru_cache(maxsize=256)  # 0.5 MB each: who fetches again asks for the same months
def _month_candles(spec: Spec, month: int) -> Candles:
    days = day_candles(spec)
    edges = np.array([month, month + 1]).astype("datetime64[M]").astype("datetime64[D]").astype(int)
    first, last = np.searchsorted(days.day, edges)
    draw = np.random.default_rng([spec.seed, month])
    shapes = days.shape[first:last]
    parts = [
        _sessions(spec, days, first + np.flatnonzero(shapes == shape), draw)
        for shape in np.unique(shapes)
    ]
    whole = join(parts)
    return whole.take(np.argsort(whole.at, kind="stable"))


def _sessions(spec: Spec, days: Days, rows: IntArray, draw: np.random.Generator) -> Candles:
    """Return all minutes of sessions that have the same shape."""
    minutes = trading_days(spec.market).shapes[int(days.shape[rows[0]])]
    size = (len(rows), len(minutes))
    high, low = days.high[rows][:, None], days.low[rows][:, None]
    close = _path(days, rows, len(minutes), draw)
    traded = np.ones(size, bool)
    if spec.illiquid:
        traded = draw.random(size) < 0.6
        traded[:, [0, -1]] = True
        kept = np.maximum.accumulate(np.where(traded, np.arange(size[1]), 0), axis=1)
        close = np.take_along_axis(close, kept, axis=1)
    open_ = np.hstack([days.open[rows][:, None], close[:, :-1]])
    reach = draw.integers(0, 4, (2, *size)) * TICK * traded
    top = np.minimum(np.maximum(open_, close) + reach[0], high)
    bottom = np.maximum(np.minimum(open_, close) - reach[1], low)
    # The day's range is reached somewhere inside the day.
    np.put_along_axis(top, np.argmax(np.where(traded, top, 0), axis=1)[:, None], high, axis=1)
    far = np.argmin(np.where(traded, bottom, np.iinfo(np.int64).max), axis=1)[:, None]
    np.put_along_axis(bottom, far, low, axis=1)
    volume = _volume(spec, days.volume[rows], traded, draw)
    at = days.day[rows][:, None] * 1440 + minutes
    anchor = np.broadcast_to(at[:, :1], size)
    columns = [at, anchor, open_, top, bottom, close, volume, _oi(spec, days, rows, size)]
    filled = (traded | (days.day[rows] < _FILLED_UNTIL)[:, None]).ravel()
    return Candles(*(column.reshape(-1)[filled] for column in columns))


def _path(days: Days, rows: IntArray, length: int, draw: np.random.Generator) -> IntArray:
    """Return closes by minute, in ticks, the last one being the day's last trade."""
    steps = draw.standard_normal((len(rows), length)).cumsum(axis=1)
    share = np.arange(1, length + 1) / length
    open_, last = (column[rows][:, None].astype(float) for column in (days.open, days.last))
    high, low = days.high[rows][:, None], days.low[rows][:, None]
    bridge = (steps - steps[:, -1:] * share) * (high - low) / (1.25 * np.sqrt(length))
    return np.clip(to_tick(open_ + (last - open_) * share + bridge), low, high)


def _volume(
    spec: Spec, whole: IntArray, traded: npt.NDArray[np.bool_], draw: np.random.Generator
) -> IntArray:
    if spec.index:
        return np.zeros(traded.shape, np.int64)
    weight = (draw.standard_exponential(traded.shape) + 0.2) * traded
    # A little is missing: a day candle also counts what no minute shows.
    share = 0.97 * weight / weight.sum(axis=1, keepdims=True)
    lot = max(spec.lot, 1)
    lots: IntArray = np.maximum((whole[:, None] * share).astype(np.int64) // lot, traded) * lot
    return lots


def _oi(spec: Spec, days: Days, rows: IntArray, size: tuple[int, int]) -> IntArray:
    if not spec.derivative:
        return np.zeros(size, np.int64)
    before = days.oi[np.maximum(rows - 1, 0)][:, None]
    change = (days.oi[rows][:, None] - before) * np.arange(1, size[1] + 1) // size[1]
    oi: IntArray = before + change // spec.lot * spec.lot
    return oi
