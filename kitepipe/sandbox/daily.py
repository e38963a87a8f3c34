"""Synthetic day candles: one seeded walk for each history, from its first day to the horizon.

A candle depends on its recipe and its date alone, never on the clock.
"""

from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from kitepipe.sandbox.candles import TICK, to_tick
from kitepipe.sandbox.clock import ist_days
from kitepipe.sandbox.expiries import monthly_expiries
from kitepipe.sandbox.series import Spec
from kitepipe.sandbox.tradingdays import IntArray, TradingDays, trading_days

Floats = npt.NDArray[np.float64]
_REFERENCE = ist_days(date(2024, 1, 1))


@dataclass(frozen=True, slots=True)
class Days:
    """Day candles as columns; `last` is the last trade, which the official `close` need not be.

    `volume` and `oi` hold what a derivative needs; an index shows neither.
    """

    day: IntArray
    shape: IntArray
    open: IntArray
    high: IntArray
    low: IntArray
    close: IntArray
    last: IntArray
    volume: IntArray
    oi: IntArray


@lru_cache(maxsize=96)
def day_candles(spec: Spec) -> Days:
    """Return the whole day history of a recipe."""
    sessions = trading_days(spec.market)
    first = int(np.searchsorted(sessions.day, ist_days(spec.first_day)))
    last = len(sessions.day)
    if spec.last_day is not None:
        last = int(np.searchsorted(sessions.day, ist_days(spec.last_day), side="right"))
    if spec.base is None:
        return _walk(spec, sessions, slice(first, last))
    return _derived(spec, day_candles(spec.base), sessions, slice(first, last))


def _walk(spec: Spec, sessions: TradingDays, rows: slice) -> Days:
    day, shape = sessions.day[rows], sessions.shape[rows]
    count = len(day)
    draw = np.random.default_rng(spec.seed)
    steps = draw.standard_normal((6, count))
    path = np.cumsum(steps[0] * 0.015 + 0.0002)
    reference = path[min(int(np.searchsorted(day, _REFERENCE)), count - 1)] if count else 0.0
    close = np.maximum(spec.price * 100 * np.exp(np.clip(path - reference, -4, 4)), 500.0)
    open_ = np.r_[close[:1], close[:-1]] * (1 + steps[1] * 0.004)
    high = np.maximum(open_, close) * (1 + np.abs(steps[2]) * 0.006)
    low = np.minimum(open_, close) * (1 - np.abs(steps[3]) * 0.006)
    minutes = np.array([len(one) for one in sessions.shapes])[shape]
    volume = np.exp(steps[4] * 0.5) * 2e12 / (close + 1000) * minutes / 375
    ticks = tuple(to_tick(prices) for prices in (open_, high, low, close))
    return _finish(day, shape, ticks, volume * (0.01 if spec.illiquid else 1.0), steps[5], spec)


def _finish(
    day: IntArray,
    shape: IntArray,
    prices: tuple[IntArray, ...],
    volume: Floats,
    noise: Floats,
    spec: Spec,
) -> Days:
    open_, high, low, close = prices
    # On about one day in four the last trade is the official close, as Kite has it or more often.
    last = np.clip(close + np.rint(noise * 1.6).astype(np.int64) * TICK, low, high)
    lot = max(spec.lot, 1)
    whole = np.maximum(volume.astype(np.int64) // lot * lot, 20 * lot)
    oi = (whole * 3 + day % 97 * lot * 11) // lot * lot
    return Days(day, shape, open_, high, low, close, last, whole, oi)


def _derived(spec: Spec, base: Days, sessions: TradingDays, rows: slice) -> Days:
    wanted = sessions.day[rows]
    at = np.searchsorted(base.day, wanted)
    # Its first session may lie before the base was listed, or be one that the base has not got.
    here = (at < len(base.day)) & (base.day[np.minimum(at, len(base.day) - 1)] == wanted)
    at, day, shape = at[here], wanted[here], sessions.shape[rows][here]
    left = _days_left(spec, day)
    columns = (base.open, base.high, base.low, base.close, base.last)
    priced = [_price(spec, column[at].astype(np.float64), left) for column in columns]
    stack = np.stack([to_tick(prices) for prices in priced])
    prices = (stack[0], stack.max(axis=0), stack.min(axis=0), stack[3])
    share = np.exp(-left / 25.0) * (0.2 if spec.right else 1.0)
    days = _finish(day, shape, prices, base.volume[at] * share, np.zeros(len(day)), spec)
    return Days(*_with_last(days, stack[4]))


def _with_last(days: Days, last: IntArray) -> list[IntArray]:
    head = [days.day, days.shape, days.open, days.high, days.low, days.close]
    return [*head, last, days.volume, days.oi]


def _days_left(spec: Spec, day: IntArray) -> Floats:
    if spec.rolling:
        expiries = monthly_expiries(spec.market)
        return (expiries[np.searchsorted(expiries, day)] - day).astype(np.float64)
    expiry = ist_days(spec.last_day) if spec.last_day else 0
    return np.maximum(expiry - day, 0).astype(np.float64)


def _price(spec: Spec, base: Floats, left: Floats) -> Floats:
    if not spec.right:
        return base * (1 + 0.06 * left / 365)
    strike = spec.strike * 100.0
    above = base - strike if spec.right == "CE" else strike - base
    nearness = np.exp(-np.abs(base - strike) / (0.05 * base))
    return np.maximum(above, 0) + 0.06 * base * np.sqrt(left / 365) * nearness
