"""The checksum of candles, as warehouse_select_checksum.sql has PostgreSQL compute it there.

Each candle is hashed by the functions of PostgreSQL's hash partitions, which are the same in every
version; the sum of the hashes depends on no order. They are Bob Jenkins' lookup3
(https://burtleburtle.net/bob/c/lookup3.c) in 64 bits, on a little-endian machine; a server on
another one gives other sums, and is asked for its candles instead.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

_Words = npt.NDArray[np.uint32]

PRICES = ("open", "high", "low", "close")
NO_OI = -7046029254386353131  # stands for a missing oi
POSTGRES_EPOCH_US = 946_684_800_000_000  # PostgreSQL counts from 2000-01-01
_START = 0x9E3779B9 + 3923095
# Candles at once: mostly all that are parsed at once. In two threads 0.039 us for each; 0.051 with
# half as many, for more changes of the interpreter's lock, and 0.084 with a quarter.
_BLOCK = 65_536
_MIX = ((4, 0), (6, 1), (8, 2), (16, 0), (19, 1), (4, 2))
_FINAL = ((14, 2), (11, 0), (25, 1), (16, 2), (4, 0), (14, 1), (24, 2))


class CandleHasher:
    """Hashes candles side by side, for one thread at a time.

    Memory for each step that the system gave anew took two fifths of the time: it has its own.
    """

    def __init__(self) -> None:
        scratch = np.empty(_BLOCK, np.uint32)
        self._chain, self._apart = (_Lookup3(_BLOCK, scratch) for _ in range(2))
        self._integers = np.empty(_BLOCK, np.int64)

    def checksum(self, columns: Mapping[str, npt.NDArray[Any]]) -> tuple[int, int]:
        """Return count and checksum of candles: at_us, open ... close, volume, oi (masked)."""
        rows, total = len(columns["at_us"]), 0
        for first in range(0, rows, _BLOCK):
            part = slice(first, first + _BLOCK)
            total += self._sum_of_hashes({name: column[part] for name, column in columns.items()})
        return rows, total

    def _sum_of_hashes(self, columns: Mapping[str, npt.NDArray[Any]]) -> int:
        rows = len(columns["at_us"])
        chain, integers = self._chain, self._integers[:rows]
        chain.begin(rows)
        chain.take_integers(np.subtract(columns["at_us"], POSTGRES_EPOCH_US, out=integers))
        chain.take_bits(columns["volume"])
        chain.take_prices(columns["open"])
        integers.fill(NO_OI)
        np.copyto(integers, np.ma.getdata(columns["oi"]), where=~np.ma.getmaskarray(columns["oi"]))
        chain.take_bits(integers)
        for seed, name in enumerate(("high", "low")):
            self._apart.begin(rows, seed)
            self._apart.take_prices(columns[name])
            chain.take_hashes(self._apart)
        chain.take_prices(columns["close"])
        return chain.sum()


class _Lookup3:
    """Hashes of many rows; what is taken next has the hashes so far for its seeds."""

    def __init__(self, most: int, scratch: _Words) -> None:
        self._memory = [*(np.empty(most, np.uint32) for _ in range(3)), scratch]  # a, b, c and more

    def begin(self, rows: int, seed: int = 0) -> None:
        """Begin anew, with a small number for the seed of every row."""
        *self.words, self._scratch = (memory[:rows] for memory in self._memory)
        self._constant: int | None = seed

    def sum(self) -> int:
        """Return the sum of the hashes, each a bigint."""
        _, high, low = self.words
        return (int(high.view(np.int32).sum(dtype=np.int64)) << 32) + int(low.sum(dtype=np.int64))

    def take_hashes(self, others: "_Lookup3") -> None:
        """PostgreSQL's exclusive or of hashes: `#`."""
        for word, other in zip(self.words[1:], others.words[1:], strict=True):
            word ^= other

    def take_bits(self, values: npt.NDArray[np.int64]) -> None:
        """PostgreSQL's exclusive or of bigints: `#`."""
        low, high = _halves(values)
        self.words[1] ^= high
        self.words[2] ^= low

    def take_integers(self, values: npt.NDArray[np.int64]) -> None:
        """PostgreSQL's hashint8extended."""
        low, high = _halves(values)
        self._seed(4)
        folded = np.right_shift(high.view(np.int32), 31, out=self._scratch.view(np.int32))
        folded ^= low.view(np.int32)  # ~high of negative ones
        folded ^= high.view(np.int32)
        self.words[0] += self._scratch
        self._final()

    def take_prices(self, values: npt.NDArray[np.float64]) -> None:
        """PostgreSQL's hashfloat8extended, of what is not 0: no price is."""
        low, high = _halves(values)
        self._seed(8)
        self.words[0] += low
        self.words[1] += high
        self._final()

    def _seed(self, size: int) -> None:
        if self._constant is None:
            self._mix(size)
            return
        for word, begun in zip(self.words, _begun(size, self._constant), strict=True):
            word.fill(begun)
        self._constant = None

    def _mix(self, size: int) -> None:
        words, start = self.words, np.uint32((_START + size) & 0xFFFFFFFF)
        np.add(words[1], start, out=words[0])  # of a hash b is the high half, and c the low one
        np.add(words[2], start, out=words[1])
        words[2].fill(start)
        for bits, place in _MIX:  # lookup3's mix()
            one, before, after = words[place], words[(place + 2) % 3], words[(place + 1) % 3]
            one -= before
            self._rotated(np.bitwise_xor, one, before, bits)
            before += after

    def _final(self) -> None:
        for bits, place in _FINAL:  # lookup3's final()
            one, before = self.words[place], self.words[(place + 2) % 3]
            one ^= before
            self._rotated(np.subtract, one, before, bits)

    def _rotated(self, change: np.ufunc, one: _Words, other: _Words, bits: int) -> None:
        """Change words by others that are rotated: by both parts, which have no bit in common."""
        change(one, np.left_shift(other, np.uint32(bits), out=self._scratch), out=one)
        change(one, np.right_shift(other, np.uint32(32 - bits), out=self._scratch), out=one)


@cache
def _begun(size: int, seed: int) -> tuple[np.uint32, ...]:
    """Return what the words of a row are before its value is added; a seed of 0 is not mixed in."""
    if not seed:
        return (np.uint32((_START + size) & 0xFFFFFFFF),) * 3
    row = _Lookup3(1, np.empty(1, np.uint32))
    row.begin(1)
    row.words[1].fill(0)
    row.words[2].fill(seed)
    row._mix(size)
    return tuple(word[0] for word in row.words)


def _halves(values: npt.NDArray[Any]) -> tuple[_Words, _Words]:
    """The lower and the upper 32 bits of 64."""
    words = np.ascontiguousarray(values).view(np.uint32)
    return words[0::2], words[1::2]
