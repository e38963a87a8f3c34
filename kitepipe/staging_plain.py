"""Kite's plain array form, from the bytes of a body to columns of numbers, by numpy.

No rule is judged here: what is not this form to the last byte is left to SQL, which reads anything.
Eight characters are taken as one whole number: a few operations on it prove all eight, and add up
what their digits make (SWAR, SIMD within a register). One core: 4 ms a MB; DuckDB took 12 for the
same (a regular expression to prove the form, two string_split, six casts), from_json 40. Character
by character numpy takes as long alone, but 0.36 us a candle in place of 0.30 in two threads: the
interpreter changes hands at each step.
"""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from kitepipe.model import Body, Interval

Columns = dict[str, npt.NDArray[Any]]
_Words = npt.NDArray[np.uint64]  # eight bytes each, the first of them the lowest
_Places = npt.NDArray[np.int64]

_HEAD = b'{"status":"success","data":{"candles":['
_TAIL = b"]}}"
_NO_CANDLES = _HEAD + _TAIL
_SHORTEST = len('["0000-00-00T00:00:00+0530",0,0,0,0,0],')
_NUMBERS = ("open", "high", "low", "close", "volume", "oi")
# With fewer than 2^53 as the whole number of its digits, and a power of ten that a double holds,
# their quotient is the double nearest to the decimal: what float() gives.
_MOST_CHARACTERS = 15
_POWERS = np.array([float(10**n) for n in range(_MOST_CHARACTERS + 2)])
_LEAST = np.concatenate([[np.inf, 0], _POWERS[1:]])  # of so many digits, where 0 is not the first
# Candles at once. In two threads 0.30 us each; 0.33 with 4,096, for more steps, and with all 15,400
# of a reply 0.47: the system is asked for the pages of each array anew.
_BLOCK = 8192
_IST_US, _DAY_US = 19_800_000_000, 86_400_000_000
_YEARS = (1900, 2099)
_MONTHS = np.arange(f"{_YEARS[0]}-01", f"{_YEARS[1] + 1}-02", dtype="datetime64[M]")
_FIRST_DAYS = _MONTHS.astype("datetime64[D]").astype(np.int64)  # of each month, since 1970


def _word(eight: bytes) -> np.uint64:
    return np.uint64(int.from_bytes(eight, "little"))


_BYTE, _TEN = np.uint64(8), np.uint64(10)
_ONES, _HIGH, _ZEROS = _word(b"\x01" * 8), _word(b"\x80" * 8), _word(b"0" * 8)
_BEYOND_9 = _word(bytes([0x80 - 10]) * 8)  # added to a byte sets _HIGH where it is
# The pairs 0 and 4 of eight digits, or 2 and 6: what they are worth is added up in the upper half.
_PAIRS = np.uint64(0x000000FF_000000FF)
_WORTH_04, _WORTH_26 = np.uint64((1_000_000 << 32) + 100), np.uint64((10_000 << 32) + 1)
_POINT = np.uint64(ord(".") ^ ord("0"))
_DECIMALS = _word(bytes(range(8)))  # times the 1 of a byte: how many bytes are behind it, on top
_LAST = np.array([(1 << 64) - (1 << 8 * max(0, 8 - n)) for n in range(_MOST_CHARACTERS + 1)], "u8")
# A date by the words that begin at these places. A digit is 0, what is no digit cannot be another:
# added to the difference from these words, what sets _HIGH where it is more than may be.
_DATE = b'"0000-00-00T00:00:00+0530"'
_BEYOND = bytes(0x80 - 10 if mark == ord("0") else 0x7F for mark in b"-0000-00-00-00-00-00------")
_DATE_WORDS = [(n, _word(_DATE[n : n + 8]), _word(_BEYOND[n : n + 8])) for n in (0, 5, 12, 18)]


class _OtherForm(Exception):
    """The body is not in the plain form."""


def read_replies(bodies: Mapping[int, Body]) -> tuple[list[int], Columns]:
    """Return which replies are plain, and their candles one after another.

    Columns: `reply_id`; `position`, from 0 in its reply; `ist_us`, microseconds of India's wall
    clock since 1970; open, high, low, close and volume; `oi`, masked where there is none. Plain are
    calendar dates at +0530, unsigned decimal numbers of up to 15 characters, whole volumes, no
    space; and every candle has as many cells as the first of its reply, 6 or 7.
    """
    table = _Table([len(body) for body in bodies.values()])
    plain = [reply_id for reply_id, body in bodies.items() if table.add(reply_id, body)]
    return plain, table.columns()


def instants(ist_us: _Places, interval: Interval) -> _Places:
    """Return UTC microseconds as `judgement` does: a day candle's are those of 00:00 of its day."""
    if interval.minutes >= 1440:
        ist_us = ist_us - ist_us % _DAY_US
    at_us: _Places = ist_us - _IST_US
    return at_us


class _Table:
    """Columns for the candles of some bodies, filled from the top."""

    def __init__(self, sizes: Collection[int]) -> None:
        most = sum(sizes) // _SHORTEST
        wholes = ("reply_id", "position", "ist_us", "volume", "oi")
        self._columns: Columns = {name: np.empty(most, np.int64) for name in wholes}
        self._columns |= {name: np.empty(most) for name in _NUMBERS[:4]}
        self._has_oi = np.empty(most, np.bool_)
        self._rows = 0
        self._is_edge = np.empty(max(sizes, default=0), np.bool_)

    def add(self, reply_id: int, body: Body) -> bool:
        """Add the candles of a reply; False, and none is added, where it has another form."""
        if body == _NO_CANDLES:
            return True
        if not (body.startswith(_HEAD + b"[") and body.endswith(b"]" + _TAIL)):
            return False
        try:
            edges, width = self._edges(body)
            begins, ends = (part.reshape(-1, width) for part in (edges[:-1], edges[1:]))
            _need(len(begins) <= len(body) // _SHORTEST)  # empty cells: there is no room for them
            words: _Words = np.ndarray((len(body) - 7,), "<u8", body, strides=(1,))
            for first in range(0, len(begins), _BLOCK):
                rows = slice(first, first + _BLOCK)
                self._fill(self._rows + first, words, begins[rows], ends[rows])
        except _OtherForm:
            return False
        rows = slice(self._rows, self._rows + len(begins))
        self._columns["reply_id"][rows] = reply_id
        self._columns["position"][rows] = np.arange(len(begins))
        self._rows += len(begins)
        return True

    def _edges(self, body: Body) -> tuple[_Places, int]:
        """Return the places before and behind all cells, and how many cells a candle has."""
        size = len(body) - len(_TAIL)
        text, is_edge = np.frombuffer(body, np.uint8, size), self._is_edge[: size + 1]
        np.equal(text, ord(","), out=is_edge[:size])
        is_edge[size] = True
        edges = np.flatnonzero(is_edge)
        edges[0] = len(_HEAD) - 1  # in place of the comma that is in the head
        first_end = body.find(b"],[", len(_HEAD))
        width = int(np.searchsorted(edges, first_end)) if first_end > 0 else len(edges) - 1
        _need(width in (6, 7) and (len(edges) - 1) % width == 0)
        _need((text[edges[:-1:width] + 1] == ord("[")).all())
        _need((text[edges[width::width] - 1] == ord("]")).all())
        return edges, width

    def _fill(self, first: int, words: _Words, begins: _Places, ends: _Places) -> None:
        rows = slice(first, first + len(begins))
        self._columns["ist_us"][rows] = _wall_clock(words, begins[:, 0] + 2, ends[:, 0])
        begins, ends = begins[:, 1:] + 1, ends[:, 1:].copy()
        ends[:, -1] -= 1
        numbers, has_point = _numbers(words, begins, ends)
        _need(not has_point[:, 4:].any())
        for place, name in enumerate(_NUMBERS[: numbers.shape[1]]):
            self._columns[name][rows] = numbers[:, place]
        self._has_oi[rows] = numbers.shape[1] == len(_NUMBERS)

    def columns(self) -> Columns:
        """Return what was added."""
        columns = {name: column[: self._rows] for name, column in self._columns.items()}
        has_oi = self._has_oi[: self._rows]
        return columns | {"oi": np.ma.masked_array(columns["oi"], mask=~has_oi)}


def _need(condition: bool | np.bool_) -> None:
    if not condition:
        raise _OtherForm


def _wall_clock(words: _Words, begins: _Places, ends: _Places) -> _Places:
    _need((ends - begins == len(_DATE)).all())
    pairs = []
    for place, same, more in _DATE_WORDS:
        eight = words[begins + place]
        eight ^= same
        _need(not ((eight + more | eight) & _HIGH).any())
        pairs.append(eight * _TEN + (eight >> _BYTE))

    def pair(of: int, place: int) -> _Places:
        found: _Places = (pairs[of] >> np.uint64(8 * place)).astype(np.uint8).astype(np.int64)
        return found

    year = 100 * pair(0, 1) + pair(0, 3)
    month, day = pair(1, 1), pair(1, 4)
    hour, minute, second = pair(2, 0), pair(2, 3), pair(2, 6)
    _need(((year >= _YEARS[0]) & (year <= _YEARS[1]) & (month >= 1) & (month <= 12)).all())
    _need(((day >= 1) & (hour < 24) & (minute < 60) & (second < 60)).all())
    months = 12 * (year - _YEARS[0]) + month - 1
    days = _FIRST_DAYS[months] + day - 1
    _need((days < _FIRST_DAYS[months + 1]).all())
    ist_us: _Places = 1_000_000 * (((24 * days + hour) * 60 + minute) * 60 + second)
    return ist_us


def _numbers(
    words: _Words, begins: _Places, ends: _Places
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Return numbers, and which of them have a decimal point; any shape, the same for all.

    `total` is the number that the digits of a cell would make with a 0 for the point.
    """
    lengths = ends - begins
    _need(lengths.min() >= 1 and lengths.max() <= _MOST_CHARACTERS)
    digits, points = _last_eight(words, ends, lengths)
    total, decimals = digits.astype(np.float64), _decimals(points)
    if lengths.max() > 8:
        digits, higher = _last_eight(words, ends - 8, np.maximum(lengths - 8, 0))
        total += digits * _POWERS[8]
        decimals += _decimals(higher) + 8 * (higher != 0)
        _need(not ((points != 0) & (higher != 0)).any())
        points |= higher
    has_point = points != 0
    scale = _POWERS[decimals]
    before_point = np.floor(total / (10 * scale)) * has_point
    numbers = total - 9 * scale * before_point
    whole_digits = lengths - has_point - decimals
    _need(not (has_point & (decimals == 0)).any())
    _need((numbers >= _LEAST[whole_digits] * scale).all())
    return numbers / scale, has_point


def _last_eight(words: _Words, ends: _Places, lengths: _Places) -> tuple[_Words, _Words]:
    """Return the number that the last eight digits make, 0 for the point; and 1 in its byte."""
    eight = words[ends - 8]
    eight ^= _ZEROS
    eight &= _LAST[lengths]
    points = (eight >> np.uint64(4)) & ~eight & _ONES  # of 0 to 9 and the point, this alone has it
    eight -= points * _POINT
    _need(not ((eight + _BEYOND_9 | eight) & _HIGH).any())
    _need(not (points & points - np.uint64(1)).any())
    eight = eight * _TEN + (eight >> _BYTE)  # every other byte is a pair of digits now
    upper = (eight & _PAIRS) * _WORTH_04 + (eight >> np.uint64(16) & _PAIRS) * _WORTH_26
    return upper >> np.uint64(32), points


def _decimals(points: _Words) -> _Places:
    """Return how many characters are behind the point; 0 where there is none."""
    decimals: _Places = (points * _DECIMALS >> np.uint64(56)).astype(np.int64)
    return decimals
