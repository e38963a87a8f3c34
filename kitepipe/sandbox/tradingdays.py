"""When the sandbox's markets trade: dates, holidays, odd sessions, and each session's minutes.

Recent years follow the exchanges' published lists; older and later moving holidays are made up,
the same on every run. Special sessions are real ones (NSE circulars), because they break code
that filters by weekday or by the clock.
"""

import random
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

import numpy as np
import numpy.typing as npt

from kitepipe.sandbox.clock import ist_days

IntArray = npt.NDArray[np.int64]
Spans = tuple[tuple[int, int], ...]

FIRST_DAY = date(1995, 1, 2)
HORIZON = date(2037, 12, 31)
LATER_CLOSE = date(2026, 8, 3)  # closing auctions begin, equity derivatives trade to 15:40

_FIXED = ((1, 26), (5, 1), (8, 15), (10, 2), (12, 25))
_MOVING = {
    2024: "0122 0308 0325 0329 0411 0417 0520 0617 0717 1101 1115 1120",
    2025: "0226 0314 0331 0410 0414 0418 0827 1021 1022 1105",
    2026: "0115 0303 0326 0331 0403 0414 0528 0626 0914 1020 1110 1124",
}


def _at(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:])


def _spans(text: str) -> Spans:
    return tuple((_at(span[:5]), _at(span[6:])) for span in text.split())


_SPECIAL = {
    date.fromisoformat(day): _spans(text)
    for day, text in {
        "2015-11-11": "17:45-18:45",
        "2016-10-30": "18:30-19:30",
        "2017-10-19": "18:30-19:30",
        "2018-11-07": "17:30-18:30",
        "2019-10-27": "18:15-19:15",
        "2020-11-14": "18:15-19:15",
        "2021-11-04": "18:15-19:15",
        "2022-10-24": "18:15-19:15",
        "2023-11-12": "18:15-19:15",
        "2024-01-20": "09:15-15:30",
        "2024-03-02": "09:15-10:00 11:30-12:30",
        "2024-05-18": "09:15-10:00 11:30-12:30",
        "2024-11-01": "18:00-19:00",
        "2025-02-01": "09:15-15:30",
        "2025-10-21": "13:45-14:45",
        "2026-02-01": "09:15-15:30",
        "2026-11-08": "18:00-19:00",
    }.items()
}
_DAY = _spans("09:15-15:30")
# The auction's trade is one minute before the auction's end; nothing trades from 15:15 on.
_DAY_AUCTION = _spans("09:15-15:15 15:34-15:35")
_DAY_DERIVATIVES = _spans("09:15-15:40")
_COMMODITY_SUMMER = _spans("09:00-23:30")
_COMMODITY_WINTER = _spans("09:00-23:55")
_COMMODITY_HOLIDAY = _spans("17:00-23:30")


@dataclass(frozen=True, slots=True)
class TradingDays:
    """All sessions of one market: `day` in days since 1970, `shape` an index into `shapes`.

    A shape is the minutes of the day in which a session has candles, as minutes since midnight.
    """

    day: IntArray
    shape: IntArray
    shapes: tuple[IntArray, ...]

    def close_minute(self, index: int) -> int:
        """Return the minute since midnight at which that session is over."""
        return int(self.shapes[int(self.shape[index])][-1]) + 1


@cache
def trading_days(market: str) -> TradingDays:
    """Return the sessions of a market: NSE, NSE-FO (stocks with derivatives), NFO or MCX."""
    days: list[int] = []
    shape: list[int] = []
    known: dict[Spans, int] = {}
    day = FIRST_DAY
    while day <= HORIZON:
        spans = _session(market, day)
        if spans:
            days.append(ist_days(day))
            shape.append(known.setdefault(spans, len(known)))
        day += timedelta(days=1)
    shapes = tuple(
        np.concatenate([np.arange(first, last) for first, last in spans]) for spans in known
    )
    return TradingDays(np.array(days), np.array(shape), shapes)


def is_session(day: date) -> bool:
    """Say whether NSE trades on this date at all."""
    return bool(_session("NSE", day))


def _session(market: str, day: date) -> Spans:
    special = _SPECIAL.get(day)
    if market == "MCX":
        return _commodity_session(day, special)
    if special:
        return special
    if day.weekday() >= 5 or day in _holidays(day.year):
        return ()
    if day < LATER_CLOSE or market == "NSE":
        return _DAY
    return _DAY_DERIVATIVES if market == "NFO" else _DAY_AUCTION


def _commodity_session(day: date, special: Spans | None) -> Spans:
    if day.weekday() >= 5:
        return special if special and special[0][0] > 12 * 60 else ()
    if day in _holidays(day.year):
        return () if (day.month, day.day) in _FIXED else _COMMODITY_HOLIDAY
    return _COMMODITY_SUMMER if _us_summer(day) else _COMMODITY_WINTER


@cache
def _holidays(year: int) -> frozenset[date]:
    fixed = {date(year, month, day) for month, day in _FIXED}
    if year in _MOVING:
        return frozenset(
            fixed | {date(year, int(md[:2]), int(md[2:])) for md in _MOVING[year].split()}
        )
    drawn = random.Random(year)
    moving = {date(year, 1, 1) + timedelta(days=drawn.randrange(10, 350)) for _ in range(10)}
    return frozenset(fixed | moving | {_good_friday(year)})


def _good_friday(year: int) -> date:
    """Return it by the anonymous Gregorian computus."""
    century = year // 100
    moon = (19 * (year % 19) + century - century // 4 - (8 * century + 13) // 25 + 15) % 30
    moon -= (moon // 28) * (1 - (29 // (moon + 1)) * ((21 - year % 19) // 11))
    sunday = (year + year // 4 + moon + 2 - century + century // 4) % 7
    offset = moon - sunday
    month = 3 + (offset + 40) // 44
    easter = date(year, month, offset + 28 - 31 * (month // 4))
    return easter - timedelta(days=2)


@cache
def _us_summer_of(year: int) -> tuple[date, date]:
    march, november = date(year, 3, 8), date(year, 11, 1)
    return (
        march + timedelta(days=(6 - march.weekday()) % 7),
        november + timedelta(days=(6 - november.weekday()) % 7),
    )


def _us_summer(day: date) -> bool:
    first, last = _us_summer_of(day.year)
    return first <= day < last
