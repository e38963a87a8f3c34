"""Binary COPY laid out by numpy: pieces, refusals, and a stream that stays small."""

import numpy as np
import pytest

from kitepipe.warehouse_copy import CANDLE_COLUMNS, candle_stream, instant_stream
from tests.warehouse_help import FIRST_US, MINUTE_US, columns, minutes


def pieces(rows: int, known: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> list[bytes]:
    """Encode that many candles, of which some have a known oi."""
    candles = columns([FIRST_US + number * MINUTE_US for number in range(rows)])
    candles["oi"] = np.ma.masked_array(np.arange(rows), mask=~known)
    stream = candle_stream(candles, np.ones(rows, dtype=np.int64), (1, "60minute"))
    return list(iter(lambda: stream.read(8192), b""))


@pytest.mark.parametrize("every", [1, 2, 1000])
def test_a_long_stream_comes_in_small_pieces(every: int) -> None:
    """However many candles, never more than about a megabyte stands ready."""
    rows = 100_000
    made = pieces(rows, np.arange(rows) % every == 0)
    assert max(map(len, made)) < 1_000_000
    nulls = rows - len(range(0, rows, every))
    assert sum(map(len, made)) == 19 + rows * (6 + 112) - nulls * 8 + 2


def test_an_empty_stream_is_a_header_and_an_end() -> None:
    """No candles are still a valid COPY."""
    assert (
        b"".join(pieces(0, np.zeros(0, dtype=bool)))
        == b"PGCOPY\n\xff\r\n\0" + bytes(8) + b"\xff\xff"
    )


@pytest.mark.parametrize("short", CANDLE_COLUMNS)
def test_columns_of_different_lengths_are_refused(short: str) -> None:
    """A column that is too short would shift values between candles."""
    candles = columns(minutes(0, 1))
    candles[short] = candles[short][:1]
    with pytest.raises(ValueError, match="different lengths"):
        candle_stream(candles, np.ones(2, dtype=np.int64))
    with pytest.raises(ValueError, match="different lengths"):
        candle_stream(columns(minutes(0, 1)), np.ones(3, dtype=np.int64))


def test_an_instant_is_counted_from_2000() -> None:
    """PostgreSQL's timestamps are microseconds since 2000-01-01 UTC, big-endian."""
    stream = instant_stream(np.array([946_684_800_000_001], dtype=np.int64))
    assert list(iter(stream.read, b""))[1] == b"\0\1" + b"\0\0\0\x08" + bytes(7) + b"\1"
