"""The checksum of candles, as warehouse_select_checksum.sql has PostgreSQL compute it there.

Each candle is hashed, field into field, by the functions of PostgreSQL's hash partitions, which are
the same in every version; the sum of the hashes depends on no order. They are Bob Jenkins' lookup3
(https://burtleburtle.net/bob/c/lookup3.c) in 64 bits, on a little-endian machine; a server on
another one gives other sums, and is asked for its candles instead.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

_Words = npt.NDArray[np.uint32]

PRICES = ("open", "high", "low", "close")
NO_OI = -7046029254386353131  # stands for a missing oi
POSTGRES_EPOCH_US = 946_684_800_000_000  # PostgreSQL counts from 2000-01-01
_START = 0x9E3779B9 + 3923095
# Candles at once: what a cache holds. 13 M a second and core; 9 M with a new array for each step.
# With half as many two loaders get into each other's way: a replay takes 4 % longer.
_BLOCK = 32_768
_MIX = ((4, 0), (6, 1), (8, 2), (16, 0), (19, 1), (4, 2))
_FINAL = ((14, 2), (11, 0), (25, 1), (16, 2), (4, 0), (14, 1), (24, 2))


def checksum(columns: Mapping[str, npt.NDArray[Any]]) -> tuple[int, int]:
    """Return count and integer checksum of candles: at_us, open ... close, volume, oi (masked)."""
    rows, total = len(columns["at_us"]), 0
    for first in range(0, rows, _BLOCK):
        part = slice(first, first + _BLOCK)
        total += _sum_of_hashes({name: column[part] for name, column in columns.items()})
    return rows, total


def _sum_of_hashes(columns: Mapping[str, npt.NDArray[Any]]) -> int:
    hashing = _Lookup3(len(columns["at_us"]))
    hashing.take_integers(columns["at_us"] - POSTGRES_EPOCH_US)
    hashing.take_bits(columns["volume"])
    hashing.take_doubles(columns["open"])
    hashing.take_bits(np.ma.filled(columns["oi"], NO_OI))
    for name in ("high", "low", "close"):
        hashing.take_doubles(columns[name])
    return hashing.sum()


class _Lookup3:
    """Hashes of many rows side by side; what is taken next has the hashes so far for its seeds."""

    def __init__(self, rows: int) -> None:
        self._words = [np.empty(rows, np.uint32) for _ in range(3)]  # a, b and c
        self._left, self._right = np.empty(rows, np.uint32), np.empty(rows, np.uint32)
        self._is_seeded = False

    def sum(self) -> int:
        """Return the sum of the hashes, each a bigint."""
        _, high, low = self._words
        return (int(high.view(np.int32).sum(dtype=np.int64)) << 32) + int(low.sum(dtype=np.int64))

    def take_bits(self, values: npt.NDArray[np.int64]) -> None:
        """PostgreSQL's exclusive or, of bigints: `#`."""
        low, high = _halves(values)
        self._words[1] ^= high
        self._words[2] ^= low

    def take_integers(self, values: npt.NDArray[np.int64]) -> None:
        """PostgreSQL's hashint8extended."""
        low, high = _halves(values)
        self._seed(4)
        self._words[0] += low ^ high ^ (values >> 63).astype(np.uint32)  # ~high of negative ones
        self._final()

    def take_doubles(self, values: npt.NDArray[np.float64]) -> None:
        """PostgreSQL's hashfloat8extended; it gives the seed for 0."""
        is_zero = values == 0
        before = [word.copy() for word in self._words] if is_zero.any() else []
        words = np.ascontiguousarray(values).view(np.uint32)
        self._seed(8)
        self._words[0] += words[0::2]
        self._words[1] += words[1::2]
        self._final()
        for word, same in zip(self._words, before, strict=False):
            np.copyto(word, same, where=is_zero)

    def _seed(self, size: int) -> None:
        words, start = self._words, np.uint32((_START + size) & 0xFFFFFFFF)
        if not self._is_seeded:
            self._is_seeded = True
            for word in words:
                word.fill(start)
            return
        np.add(words[1], start, out=words[0])  # of a hash b is the high half, and c the low one
        np.add(words[2], start, out=words[1])
        words[2].fill(start)
        for bits, place in _MIX:  # lookup3's mix()
            one, before, after = place, (place + 2) % 3, (place + 1) % 3
            words[one] -= words[before]
            words[one] ^= self._rotated(words[before], bits)
            words[before] += words[after]

    def _final(self) -> None:
        words = self._words
        for bits, place in _FINAL:  # lookup3's final()
            before = (place + 2) % 3
            words[place] ^= words[before]
            words[place] -= self._rotated(words[before], bits)

    def _rotated(self, word: _Words, bits: int) -> _Words:
        np.left_shift(word, np.uint32(bits), out=self._left)
        np.right_shift(word, np.uint32(32 - bits), out=self._right)
        return np.bitwise_or(self._left, self._right, out=self._left)


def _halves(values: npt.NDArray[np.int64]) -> tuple[_Words, _Words]:
    """The lower and the upper 32 bits."""
    return values.astype(np.uint32), (values >> 32).astype(np.uint32)
