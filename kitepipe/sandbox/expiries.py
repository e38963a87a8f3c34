"""When derivatives expire: NFO on the last Thursday, later Tuesday, of a month; MCX on the 19th."""

from datetime import date, timedelta
from functools import cache

import numpy as np

from kitepipe.sandbox.clock import ist_days
from kitepipe.sandbox.tradingdays import FIRST_DAY, HORIZON, IntArray, is_session

_TUESDAYS_SINCE = date(2025, 9, 1)
_COMMODITY_DAY = 19


@cache
def monthly_expiries(exchange: str) -> IntArray:
    """Return all expiry dates of an exchange, in days since 1970."""
    months = [
        date(year, month, 1)
        for year in range(FIRST_DAY.year, HORIZON.year + 1)
        for month in range(1, 13)
    ]
    rule = _commodity_expiry if exchange == "MCX" else _equity_expiry
    return np.array([ist_days(rule(month)) for month in months])


def _equity_expiry(month: date) -> date:
    last = (month.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    weekday = 1 if month >= _TUESDAYS_SINCE else 3
    return _session_before(last - timedelta(days=(last.weekday() - weekday) % 7))


def _commodity_expiry(month: date) -> date:
    return _session_before(month.replace(day=_COMMODITY_DAY))


def _session_before(day: date) -> date:
    while day.weekday() >= 5 or not is_session(day):
        day -= timedelta(days=1)
    return day
