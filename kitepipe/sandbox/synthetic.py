"""History that is made up: the same candles on every run, cut by the clock.

What was over some seconds ago is final; what still forms is partial and differs from the final
candle; what lies ahead is absent.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import numpy as np

from kitepipe.model import Interval
from kitepipe.sandbox.candles import TICK, Candles, empty, group, join, rebase
from kitepipe.sandbox.clock import ist_days
from kitepipe.sandbox.daily import Days, day_candles
from kitepipe.sandbox.intraday import minute_candles
from kitepipe.sandbox.query import Query
from kitepipe.sandbox.render import render_rows
from kitepipe.sandbox.series import Spec
from kitepipe.sandbox.tradingdays import trading_days

_MINUTE_WRONG_S = 10  # Zerodha: a candle closed less than about 10 s ago is wrong
_DAY_WRONG_S = 600  # the official close comes some minutes after the last trade
Splits = Sequence[tuple[date, float]]


class SyntheticHistory:
    """Answers any query about a recipe; `now_s` is the clock in IST seconds."""

    def __init__(self, day_stamp: str = "00:00:00", placeholders: bool = False) -> None:
        self._day_stamp = day_stamp
        self._placeholders = placeholders

    def rows(self, spec: Spec, query: Query, now_s: float, splits: Splits) -> bytes:
        """Return the candles of a query as `[..],[..]`."""
        factors = [(ist_days(day) * 1440, ratio) for day, ratio in splits]
        if query.interval is Interval.DAY:
            candles = rebase(self._days(spec, query, now_s), factors)
            return render_rows(candles, query.oi, self._day_stamp)
        minutes = rebase(_minutes(spec, query.first_s, query.last_s, now_s), factors)
        return render_rows(group(minutes, query.interval.minutes), query.oi)

    def _days(self, spec: Spec, query: Query, now_s: float) -> Candles:
        days = day_candles(spec)
        first = int(np.searchsorted(days.day, -(-query.first_s // 86400)))
        last = int(np.searchsorted(days.day, query.last_s // 86400, side="right"))
        over = int(np.searchsorted(days.day, int(now_s) // 86400))
        if over < len(days.day) and days.day[over] == now_s // 86400:
            over += now_s >= _over_at(spec, days, over)
        parts = [_whole_days(spec, days, slice(first, min(last, over)))]
        if first <= over < last:
            parts.append(_forming_day(spec, days, over, now_s))
        if self._placeholders:
            parts.insert(0, _before_listing(spec, query))
        return join(parts)


def _over_at(spec: Spec, days: Days, row: int) -> float:
    shape = trading_days(spec.market).shapes[int(days.shape[row])]
    return int(days.day[row]) * 86400 + (int(shape[-1]) + 1) * 60 + _DAY_WRONG_S


def _whole_days(spec: Spec, days: Days, rows: slice) -> Candles:
    at = days.day[rows] * 1440
    nothing = np.zeros(len(at), np.int64)
    return Candles(
        at,
        at,
        days.open[rows],
        days.high[rows],
        days.low[rows],
        days.close[rows],
        nothing if spec.index else days.volume[rows],
        days.oi[rows] if spec.derivative else nothing,
    )


def _forming_day(spec: Spec, days: Days, row: int, now_s: float) -> Candles:
    """Return today's day candle as far as its minutes show it; nothing before the open."""
    midnight = int(days.day[row]) * 86400
    minutes = _minutes(spec, midnight, midnight + 86399, now_s)
    if not len(minutes):
        return empty()
    whole = replace(minutes, anchor=np.full(len(minutes), midnight // 60))
    forming = group(whole, 1440)
    return _unlike(forming, int(days.close[row]))


def _minutes(spec: Spec, first_s: int, last_s: int, now_s: float) -> Candles:
    seen = min(last_s, int(now_s))
    candles = minute_candles(spec, -(-first_s // 60), seen // 60)
    if not len(candles):
        return candles
    forming = candles.at[-2:] * 60 + 60 + _MINUTE_WRONG_S > now_s
    sure = len(candles) - int(forming.sum())
    ends = [_partial(candles.take(slice(row, row + 1)), now_s) for row in range(sure, len(candles))]
    return join([candles.take(slice(0, sure)), *ends])


def _partial(one: Candles, now_s: float) -> Candles:
    """Return a minute that is not over: fewer traded, and closing somewhere else."""
    elapsed = int(now_s) - int(one.at[0]) * 60
    volume = one.volume * elapsed // (60 + _MINUTE_WRONG_S)
    return _unlike(replace(one, volume=volume), int(one.close[0]))


def _unlike(one: Candles, final_close: int) -> Candles:
    """Return the candle with a close that is not the final one, inside its range if it has one."""
    if int(one.close[0]) != final_close:
        return one
    high, low = int(one.high[0]), int(one.low[0])
    other = high if high != final_close else low if low != final_close else high + TICK
    return replace(one, close=np.array([other]), high=np.array([max(high, other)]))


def _before_listing(spec: Spec, query: Query) -> Candles:
    """Return the zero-price rows that Kite has been seen to serve before a first day."""
    first = ist_days(spec.first_day)
    at = np.array([first - 2, first - 1]) * 1440
    at = at[(at * 60 >= query.first_s) & (at * 60 <= query.last_s)]
    zero = np.zeros(len(at), np.int64)
    return Candles(at, at, zero, zero, zero, zero, zero, zero)
