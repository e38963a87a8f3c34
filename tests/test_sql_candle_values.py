"""The values of candles on their way through SQL, by the fast path and by the typed one."""

from collections.abc import Iterator

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.candle_chain import define, run
from tests.candle_strategies import body

GOOD = '["2024-01-10T09:15:00+0530",10,12.5,9.5,11,5,7]'

both_paths = pytest.mark.parametrize("typed_only", [False, True])


@pytest.fixture(scope="module")
def cursor() -> Iterator[duckdb.DuckDBPyConnection]:
    """One cursor for the module: the chain replaces its own tables."""
    with duckdb.connect() as connection, connection.cursor() as cursor:
        define(cursor)
        yield cursor


@given(price=st.floats(min_value=5e-324, allow_infinity=False))
@pytest.mark.parametrize("typed_only", [False, True])
def test_prices_keep_every_digit(
    cursor: duckdb.DuckDBPyConnection, price: float, typed_only: bool
) -> None:
    """Each JSON number becomes the double that Python's float() gives."""
    text = f'["2024-01-10T09:15:00+0530",{price!r},{price!r},{price!r},{price!r},1]'

    (row,) = run(cursor, body([text]), typed_only=typed_only).rows

    assert (price,) * 4 == row[1:5]


@given(digits=st.from_regex(r"(0|[1-9][0-9]{0,14})\.[0-9]{1,15}", fullmatch=True))
def test_long_decimals_keep_every_digit(cursor: duckdb.DuckDBPyConnection, digits: str) -> None:
    """Thirty digits, as many as the plain path takes, are rounded once and rightly."""
    text = f'["2024-01-10T09:15:00+0530",{digits},{digits},{digits},{digits},1]'

    found = run(cursor, body([text])).rows

    assert [float(digits)] * (float(digits) > 0) == [row[1] for row in found]


@pytest.mark.parametrize(
    ("digits", "count"),
    [
        ("9007199254740993", 9007199254740993),
        ("999999999999999999", 999999999999999999),
        ("9223372036854775807", 2**63 - 1),
        ("9007199254740993.0", 9007199254740992),
        ("10.0", 10),
        ("1e3", 1000),
        ("-0", 0),
        ("-0.0", 0),
    ],
)
@both_paths
def test_counts_are_exact(
    cursor: duckdb.DuckDBPyConnection, digits: str, count: int, typed_only: bool
) -> None:
    """Volume and oi beyond 2^53 never pass through a double; 10.0 is ten."""
    text = GOOD.replace(",5,7]", f",{digits},{digits}]")

    assert [row[5:] for row in run(cursor, body([text]), typed_only=typed_only).rows] == [
        (count, count)
    ]


@pytest.mark.parametrize("oi", ["", ",null"])
def test_no_oi_is_none(cursor: duckdb.DuckDBPyConnection, oi: str) -> None:
    """Six places, or null in the seventh, say that oi is not known; zero would be a value."""
    text = GOOD.replace(",7]", f"{oi}]")

    assert [row[6] for row in run(cursor, body([text])).rows] == [None]


@pytest.mark.parametrize(
    "change",
    [
        ("10,", "10.5,"),
        ("12.5", "12.6"),
        ("9.5", "9.4"),
        ("11,", "10,"),
        (",5,", ",6,"),
        (",7]", ",8]"),
        (",7]", "]"),
    ],
)
@both_paths
def test_any_difference_makes_a_duplicate(
    cursor: duckdb.DuckDBPyConnection, change: tuple[str, str], typed_only: bool
) -> None:
    """Two candles of one instant that differ in one field are both refused; equal ones are one."""
    differing = run(cursor, body([GOOD, GOOD.replace(*change)]), typed_only=typed_only)
    equal = run(cursor, body([GOOD, GOOD]), typed_only=typed_only)

    assert differing.rules == {(1, 0): "duplicate", (1, 1): "duplicate"}
    assert equal.counts == [(1, 2, 0, 0, 0, 1)]


@pytest.mark.parametrize(
    ("odd", "rule"),
    [
        ('"2024\\ud800"', "missing_field"),
        ('["2024\\udc00",10,12.5,9.5,11,5]', "bad_date"),
        ("[NaN,10,12.5,9.5,11,5]", "bad_date"),
        (GOOD.replace("12.5", "Infinity"), "not_a_number"),
        (GOOD.replace("12.5", "1e999"), "not_a_number"),
        (GOOD.replace("12.5", "9" * 400), "not_a_number"),
    ],
)
def test_one_odd_token_costs_one_candle(
    cursor: duckdb.DuckDBPyConnection, odd: str, rule: str
) -> None:
    """Tokens that Python's JSON takes and others refuse do not cost the reply's good candles."""
    odd = odd if odd.startswith("[") else f"[{odd}]"

    found = run(cursor, body([odd, GOOD]))

    assert (found.rules, len(found.rows)) == ({(1, 0): rule}, 1)
