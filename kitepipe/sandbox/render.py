"""Columns of candles to Kite's compact JSON: 22,500 rows in a few milliseconds, no loop over rows.

Each field becomes a block of characters of fixed width and a mask of those that are kept
(no leading zeros; `1705`, `1702.8` and `1699.25` as Kite writes them); one selection joins all.
"""

from functools import cache

import numpy as np
import numpy.typing as npt

from kitepipe.sandbox.candles import Candles
from kitepipe.sandbox.tradingdays import IntArray

Chars = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Block = tuple[Chars, Mask]

EMPTY = b'{"status":"success","data":{"candles":[]}}'
HEAD, TAIL = EMPTY[:-3], EMPTY[-3:]


def render_rows(candles: Candles, oi: bool, day_stamp: str | None = None) -> bytes:
    """Return `[...],[...]`; `day_stamp` replaces the time of day in day candles."""
    count = len(candles)
    if not count:
        return b""
    prices = (candles.open, candles.high, candles.low, candles.close)
    blocks = [_fixed(b'["', count), _stamp(candles.at, day_stamp), _fixed(b'"', count)]
    for column in prices:
        blocks += [_fixed(b",", count), *_price(column)]
    blocks += [_fixed(b",", count), _integer(candles.volume)]
    if oi:
        blocks += [_fixed(b",", count), _integer(candles.oi)]
    blocks.append(_fixed(b"],", count))
    chars = np.hstack([chars for chars, _ in blocks])
    mask = np.hstack([mask for _, mask in blocks])
    return chars[mask].tobytes()[:-1]


def _fixed(text: bytes, count: int) -> Block:
    chars = np.broadcast_to(np.frombuffer(text, np.uint8), (count, len(text)))
    return chars, np.broadcast_to(np.True_, chars.shape)


def _stamp(at: IntArray, day_stamp: str | None) -> Block:
    days, minutes = np.divmod(at, 1440)
    known, which = np.unique(days, return_inverse=True)
    dates = known.astype("datetime64[D]").astype("S10").view(np.uint8).reshape(-1, 10)[which]
    if day_stamp is None:
        times = _times()[minutes]
    else:
        times = _fixed(f"T{day_stamp}+0530".encode(), len(at))[0]
    chars = np.hstack([dates, times])
    return chars, np.broadcast_to(np.True_, chars.shape)


def _price(paise: IntArray) -> list[Block]:
    rupees, rest = np.divmod(paise, 100)
    fraction = _hundreds()[rest]
    kept = np.stack([rest > 0, rest > 0, rest % 10 > 0], axis=1)
    return [_integer(rupees), (fraction, kept)]


def _integer(values: IntArray) -> Block:
    width = len(str(int(values.max())))
    groups = -(-width // 4)
    chars = np.empty((len(values), groups * 4), np.uint8)
    left = values
    for place in range(groups - 1, -1, -1):
        left, four = np.divmod(left, 10_000)
        chars[:, place * 4 : place * 4 + 4] = _thousands()[four]
    powers = 10 ** np.arange(groups * 4 - 1, -1, -1, dtype=np.int64)
    powers[-1] = 0  # a lone zero is kept
    return chars, values[:, None] >= powers


@cache
def _times() -> Chars:
    text = "".join(f"T{m // 60:02}:{m % 60:02}:00+0530" for m in range(1440))
    return np.frombuffer(text.encode(), np.uint8).reshape(1440, -1)


@cache
def _hundreds() -> Chars:
    text = "".join(f".{value:02}" for value in range(100))
    return np.frombuffer(text.encode(), np.uint8).reshape(100, 3)


@cache
def _thousands() -> Chars:
    text = "".join(f"{value:04}" for value in range(10_000))
    return np.frombuffer(text.encode(), np.uint8).reshape(10_000, 4)
