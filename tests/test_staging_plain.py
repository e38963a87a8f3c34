"""Kite's plain form read by numpy: what JSON says, to the last digit, or nothing."""

import json
import random
import re
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitepipe.staging_plain import Columns, read_replies

ROWS = 20_000  # more than two blocks
BEGIN = datetime(2024, 1, 1, 9, 15)  # noqa: DTZ001 - India's wall clock


def _body(rows: list[list[Any]]) -> bytes:
    text = {"status": "success", "data": {"candles": rows}}
    return json.dumps(text, separators=(",", ":")).encode()


def _read(body: bytes) -> Columns | None:
    """Return the candles of one body; None where it is not plain."""
    plain, columns = read_replies({1: body})
    return columns if plain else None


@cache
def _rows() -> list[list[Any]]:
    draw = random.Random(1)
    return [
        [
            f"{BEGIN + timedelta(minutes=number):%Y-%m-%dT%H:%M:%S}+0530",
            *(round(draw.uniform(0.05, 90_000), draw.randint(0, 4)) for _ in range(4)),
            draw.randrange(10**9),
        ]
        for number in range(ROWS)
    ]


def test_a_long_reply_is_read_to_the_last_digit() -> None:
    """Every instant, price and volume of several blocks; and no open interest."""
    rows = _rows()
    found = _read(_body(rows))
    assert found is not None
    for place, name in enumerate(("open", "high", "low", "close", "volume"), start=1):
        assert found[name].tolist() == [row[place] for row in rows]
    instants = [BEGIN + timedelta(minutes=number) for number in range(ROWS)]
    expected = [round(at.replace(tzinfo=UTC).timestamp() * 1e6) for at in instants]
    assert found["ist_us"].tolist() == expected
    assert found["oi"].tolist() == [None] * ROWS


@pytest.mark.parametrize("place", [0, 8191, 8192, 16_384, ROWS - 1])
@pytest.mark.parametrize("cell", [(5, 1.5), (1, "10"), (3, -1.0), (2, None), (0, "2024-02-30")])
def test_one_odd_cell_anywhere_leaves_the_reply_to_sql(place: int, cell: tuple[int, Any]) -> None:
    """In whichever block it stands."""
    rows = [*_rows()]
    rows[place] = [*rows[place][: cell[0]], cell[1], *rows[place][cell[0] + 1 :]]
    assert _read(_body(rows)) is None


@given(
    whole=st.integers(0, 10**9),
    decimals=st.text("0123456789", max_size=12),
)
def test_a_decimal_is_the_double_that_python_reads(whole: int, decimals: str) -> None:
    """Whatever its digits, as long as there are no more than 15 characters."""
    text = f"{whole}.{decimals}" if decimals else f"{whole}"
    ones = _body([["2024-01-10T09:15:00+0530", 1, 1, 1, 1, 1]])
    found = _read(ones.replace(b",1,", f",{text},".encode(), 1))
    if len(text) > 15:
        assert found is None
    else:
        assert found is not None
        assert found["open"].tolist() == [float(text)]


def test_replies_stand_one_after_another() -> None:
    """Those that are plain, with their ids and places; one without a candle among them."""
    plain = _body([["2024-01-10T09:15:00+0530", 1, 1, 1, 1, 1, 7]] * 2)
    bodies = {7: plain, 8: _body([]), 9: plain + b" ", 10: plain}
    ids, candles = read_replies(bodies)
    assert ids == [7, 8, 10]
    assert candles["reply_id"].tolist() == [7, 7, 10, 10]
    assert candles["position"].tolist() == [0, 1, 0, 1]
    assert candles["oi"].tolist() == [7] * 4


_CANDLE = b'["2024-02-29T09:15:00+0530",1705.1,0.05,123456.75,10,1234567890]'
# What a candle is made of, what differs from a digit or the point by a bit, and the ends of bytes.
_MARKS = b'0123456789.,:-+T"[] eE'
_BYTES = sorted({*_MARKS, *(mark ^ 1 << bit for mark in b"0.9" for bit in range(8)), 0, 127, 255})
_NUMBER = rb"(?:0|[1-9][0-9]*)(?:\.[0-9]+)?"
_PLAIN = re.compile(
    rb'\["(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\+0530",('
    + rb",".join([_NUMBER] * 4)
    + rb",(?:0|[1-9][0-9]*)(?:,(?:0|[1-9][0-9]*))?)\]"
)


def _expected(candle: bytes) -> list[float | None] | None:
    """Return what a candle says, by Python alone; None where its form is not plain."""
    if not (found := _PLAIN.fullmatch(candle)):
        return None
    try:
        at = datetime.fromisoformat(found[1].decode()).replace(tzinfo=UTC)
    except ValueError:
        return None
    cells = found[2].split(b",")
    if not 1900 <= at.year < 2100 or max(map(len, cells)) > 15:
        return None
    numbers = [float(cell) for cell in cells]
    return [round(at.timestamp() * 1e6), *numbers, *[None] * (6 - len(numbers))]


@pytest.mark.parametrize("place", range(len(_CANDLE)))
def test_another_byte_anywhere_is_read_rightly_or_not_at_all(place: int) -> None:
    """Every place of a candle: a regular expression and float() say the same."""
    names = ("ist_us", "open", "high", "low", "close", "volume", "oi")
    for byte in _BYTES:
        candle = _CANDLE[:place] + bytes([byte]) + _CANDLE[place + 1 :]
        found = _read(b'{"status":"success","data":{"candles":[' + candle + b"]}}")
        read = None if found is None else [found[name].tolist()[0] for name in names]
        assert read == _expected(candle), candle


@given(cell=st.lists(st.sampled_from(_BYTES), min_size=1, max_size=16).map(bytes))
def test_neighbours_of_any_kind_are_read_rightly_or_not_at_all(cell: bytes) -> None:
    """What one byte borrows from the next, or carries over to it, never makes a number."""
    candle = _CANDLE.replace(b"123456.75", cell)
    found = _read(b'{"status":"success","data":{"candles":[' + candle + b"]}}")
    expected = _expected(candle)
    assert (found is None) == (expected is None)
    assert found is None or expected is None or found["low"].tolist() == [expected[3]]


@pytest.mark.parametrize("cell", [b"1.5.5", b"1..5", b"12345678..5", b"12345.6789012.3"])
def test_a_number_with_two_points_leaves_the_reply_to_sql(cell: bytes) -> None:
    """Among its last eight characters, or one before them."""
    candle = _CANDLE.replace(b"123456.75", cell)
    assert _read(b'{"status":"success","data":{"candles":[' + candle + b"]}}") is None


def test_the_shortest_candles_have_room() -> None:
    """As many as fit into a body; two bodies of them too."""
    candles = ",".join(['["2024-01-10T09:15:00+0530",0,0,0,0,0]'] * 5000)
    body = f'{{"status":"success","data":{{"candles":[{candles}]}}}}'.encode()
    ids, columns = read_replies({1: body, 2: body})
    assert (ids, columns["position"].tolist()) == ([1, 2], [*range(5000)] * 2)
    assert not columns["volume"].any()


def test_cells_without_a_character_leave_the_reply_to_sql() -> None:
    """Commas within a text cut shorter candles than there can be: JSON all the same."""
    candles = ",".join(['["2024-01-10T09:15:00+0530",",,,,"]'] * 500)
    body = f'{{"status":"success","data":{{"candles":[{candles}]}}}}'.encode()
    assert json.loads(body)
    plain = _body([["2024-01-10T09:15:00+0530", 1, 1, 1, 1, 1]])
    ids, columns = read_replies({1: plain, 2: body, 3: plain})
    assert (ids, columns["reply_id"].tolist()) == ([1, 3], [1, 3])
