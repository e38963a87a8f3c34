"""Kite's plain array form, from the bytes of a body to columns of numbers, by numpy.

No rule is judged here: what is not this form to the last byte is left to SQL, which reads anything.
One core: 3.7 ms a MB; DuckDB took 12 for the same (a regular expression to prove the form, two
string_split, six casts), from_json 40.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from kitepipe.model import Interval

Columns = dict[str, npt.NDArray[Any]]
_Bytes = npt.NDArray[np.uint8]
_Places = npt.NDArray[np.int64]

_HEAD = b'{"status":"success","data":{"candles":['
_TAIL = b"]}}"
_NO_CANDLES = _HEAD + _TAIL
_COMMAS_IN_HEAD = 1
_DATE = np.frombuffer(b'"0000-00-00T00:00:00+0530"', np.uint8)
_DIGITS = np.array([1, 2, 3, 4, 6, 7, 9, 10, 12, 13, 15, 16, 18, 19])  # places in _DATE
_SIGNS = np.setdiff1d(np.arange(_DATE.size), _DIGITS)
_YEARS = (1900, 2099)
# With fewer than 2^53 as the whole number of its digits, and a power of ten that a double holds,
# their quotient is the double nearest to the decimal: what float() gives.
_MOST_CHARACTERS = 15
# Candles at once. With all 15,400 of a reply the system is asked for the pages of each array anew,
# and two threads are no faster than one: 4.2 ms a MB; 2.7 with this, 4.4 with 2,048.
_BLOCK = 8192
_IST_US, _DAY_US = 19_800_000_000, 86_400_000_000
_POWERS = 10.0 ** np.arange(_MOST_CHARACTERS + 1)


class _OtherForm(Exception):
    """The body is not in the plain form."""


def read_replies(bodies: Mapping[int, bytes]) -> tuple[list[int], Columns]:
    """Return which replies are plain, and their candles one after another.

    Columns are reply_id, position (from 0 in its reply) and those of `read_plain`.
    """
    nothing = read_plain(_NO_CANDLES)
    assert nothing is not None
    read = {reply_id: read_plain(body) for reply_id, body in bodies.items()}
    plain = {reply_id: columns for reply_id, columns in read.items() if columns is not None}
    sizes = [columns["ist_us"].size for columns in plain.values()]
    table: Columns = {
        "reply_id": np.repeat(np.array(list(plain), np.int64), sizes),
        "position": np.concatenate([np.empty(0, np.int64), *map(np.arange, sizes)]),
    }
    parts = [nothing, *plain.values()]
    for name in nothing:
        concatenate: Any = np.ma.concatenate if name == "oi" else np.concatenate
        table[name] = concatenate([one[name] for one in parts])
    return list(plain), table


def read_plain(body: bytes) -> Columns | None:
    """Return the candles of a body; None where it has any other form.

    `ist_us` are microseconds of India's wall clock since 1970; open, high, low, close and volume
    are what they are called; `oi` is masked where there is none. Plain are calendar dates at +0530,
    unsigned decimal numbers of up to 15 characters, whole volumes, no space; and every candle has
    as many cells as the first, 6 or 7.
    """
    if body == _NO_CANDLES:
        return _columns(np.empty(0, np.int64), np.empty((5, 0)))
    if not (body.startswith(_HEAD + b"[") and body.endswith(b"]" + _TAIL)):
        return None
    try:
        text = np.frombuffer(body, np.uint8)[: -len(_TAIL)]
        starts, ends = _cells(text, body.find(b"],[", len(_HEAD)))
        numbers = np.empty((len(starts) - 1, starts.shape[1]))
        for first in range(0, starts.shape[1], _BLOCK):
            rows = slice(first, first + _BLOCK)
            numbers[:, rows], has_point = _numbers(text, starts[1:, rows], ends[1:, rows])
            _need(not has_point[4:].any())
        return _columns(_instants(text, starts[0], ends[0]), numbers)
    except _OtherForm:
        return None


def instants(ist_us: _Places, interval: Interval) -> _Places:
    """Return UTC microseconds as `judgement` does: a day candle's are those of 00:00 of its day."""
    whole_days = ist_us - ist_us % _DAY_US
    at_us: _Places = (ist_us if interval.minutes < 1440 else whole_days) - _IST_US
    return at_us


def _columns(ist_us: _Places, numbers: npt.NDArray[np.float64]) -> Columns:
    whole = numbers[4:].astype(np.int64)
    oi = np.ma.masked_array(whole[-1], mask=np.full(len(ist_us), len(whole) == 1))
    prices = dict(zip(("open", "high", "low", "close"), numbers, strict=False))
    return {"ist_us": ist_us, **prices, "volume": whole[0], "oi": oi}


def _need(condition: bool | np.bool_) -> None:
    if not condition:
        raise _OtherForm


def _cells(text: _Bytes, first_end: int) -> tuple[_Places, _Places]:
    """Return where the cells begin and end, by column; `first_end` is where candle 0 does."""
    commas = np.flatnonzero(text == ord(","))[_COMMAS_IN_HEAD:]
    cells = commas.size + 1
    width = int(np.searchsorted(commas, first_end)) + 1 if first_end > 0 else cells
    _need(width in (6, 7) and cells % width == 0)
    starts = np.concatenate([[len(_HEAD)], commas + 1]).reshape(-1, width).T.copy()
    ends = np.append(commas, text.size).reshape(-1, width).T.copy()
    ends[-1] -= 1
    _need((text[starts[0]] == ord("[")).all() and (text[ends[-1]] == ord("]")).all())
    starts[0] += 1
    return starts, ends


def _instants(text: _Bytes, starts: _Places, ends: _Places) -> _Places:
    _need((ends - starts == _DATE.size).all())
    windows = np.lib.stride_tricks.sliding_window_view(text, _DATE.size)
    characters = windows[starts].T.copy()
    _need((characters[_SIGNS] == _DATE[_SIGNS, None]).all())
    digits = characters[_DIGITS] - np.uint8(ord("0"))
    _need((digits <= 9).all())
    century, decade, month, day, hour, minute, second = (
        10 * digits[0::2].astype(np.int64) + digits[1::2]
    )
    year = 100 * century + decade
    _need(((year >= _YEARS[0]) & (year <= _YEARS[1]) & (month >= 1) & (month <= 12)).all())
    _need(((day >= 1) & (hour < 24) & (minute < 60) & (second < 60)).all())
    months = (12 * (year - 1970) + month - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]").astype(np.int64) + day - 1
    _need((days < (months + 1).astype("datetime64[D]").astype(np.int64)).all())
    ist_us: _Places = 1_000_000 * (((24 * days + hour) * 60 + minute) * 60 + second)
    return ist_us


def _numbers(
    text: _Bytes, starts: _Places, ends: _Places
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Return numbers, and which of them have a decimal point; any shape, the same for all.

    All cells are read at once, a character at a time from the right: `total` is the number that
    their digits would make with a 0 for the point.
    """
    lengths = ends - starts
    _need(lengths.min() >= 1 and lengths.max() <= _MOST_CHARACTERS)
    left = lengths.astype(np.uint8)
    total = np.zeros(left.shape)
    points = np.zeros(left.shape, np.uint8)
    decimals = np.zeros(left.shape, np.uint8)
    place = ends - 1
    for power in range(int(left.max())):
        character = text.take(place)
        digit = character - np.uint8(ord("0"))
        is_inside = left > power
        is_point = (character == ord(".")) & is_inside
        _need((((digit > 9) & is_inside) == is_point).all())
        total += (digit * (is_inside ^ is_point)) * _POWERS[power]
        points += is_point
        decimals += is_point * np.uint8(power)
        place -= 1
    first = text.take(starts)
    second = text.take(starts + 1)  # or what follows a single character
    is_padded = (first == ord("0")) & (left > 1) & (second != ord("."))
    has_point = points > 0
    is_open = (first == ord(".")) | (has_point & (decimals == 0))
    _need(not (is_padded | is_open | (points > 1)).any())
    scale = _POWERS[decimals]
    before_point = np.floor(total / (10 * scale)) * has_point
    return (total - 9 * scale * before_point) / scale, has_point
