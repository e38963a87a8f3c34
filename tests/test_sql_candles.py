"""The SQL from raw replies to candles, on a real DuckDB, against `OHLCVCandle.validate()`."""

import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitepipe.candle import RULES, OHLCVCandle, verdicts
from kitepipe.model import IST, Interval, Window
from tests.candle_chain import FIRST, LAST, Picked, Rows, define, parse, pick, run
from tests.candle_strategies import CANDLE_TEXT, PLAIN_TEXT, body

DAYS = st.dates(FIRST, LAST)


@pytest.fixture(scope="module")
def cursor() -> Iterator[duckdb.DuckDBPyConnection]:
    """One cursor for the module: the chain replaces its own tables."""
    with duckdb.connect() as connection, connection.cursor() as cursor:
        define(cursor)
        yield cursor


def expected(
    texts: list[str], interval: Interval, settled: date | None, segments: list[tuple[date, date]]
) -> tuple[dict[tuple[int, int], str], Rows, tuple[int, ...]]:
    """Say by `validate()` what the chain has to give: rules, candles by time, counts."""
    candles = [OHLCVCandle.from_kite_response(json.loads(text)) for text in texts]
    rules, good, held, superseded = {}, {}, 0, 0
    judged = verdicts(candles, interval, Window(FIRST, LAST))
    for position, (candle, rule) in enumerate(zip(candles, judged, strict=True)):
        day = ist_date(candle.date)
        if day and FIRST <= day <= LAST and (settled is None or day > settled):
            held += 1
        elif day and FIRST <= day <= LAST and not any(a <= day <= z for a, z in segments):
            superseded += 1
        elif rule:
            rules[1, position] = rule
        else:
            row = (candle.at_us(interval), *map(float, list(candle.to_dict().values())[1:5]))
            oi = None if candle.oi is None else int(candle.oi)
            good[row[0]] = (*row, int(candle.volume), oi)
    counts = (1, len(texts), held, superseded, len(rules), len(good))
    return rules, [good[at_us] for at_us in sorted(good)], counts


def ist_date(moment: Any) -> date | None:
    """Return the date that can be read, whatever else is wrong."""
    known = isinstance(moment, datetime) and moment.tzinfo
    return moment.astimezone(IST).date() if known else None


@given(
    texts=st.lists(CANDLE_TEXT, max_size=8),
    repeat=st.booleans(),
    interval=st.sampled_from(Interval),
    settled=st.one_of(st.just(LAST), st.none(), DAYS),
    cut=st.one_of(st.none(), DAYS),
)
def test_sql_and_validate_agree(
    cursor: duckdb.DuckDBPyConnection,
    texts: list[str],
    repeat: bool,
    interval: Interval,
    settled: date | None,
    cut: date | None,
) -> None:
    """Property 25: on any JSON, SQL and `validate()` name the same rule and the same values."""
    texts = texts + texts[:1] * repeat
    segments = [(FIRST, LAST)] if cut is None else [(FIRST, cut), (cut + timedelta(3), LAST)]
    pick(cursor, [Picked(1, FIRST, LAST, settled, body(texts), segments)])

    found = parse(cursor, interval)

    rules, rows, counts = expected(texts, interval, settled, segments)
    assert rules == found.rules
    assert rows == found.rows
    assert [counts] == found.counts


@given(texts=st.lists(PLAIN_TEXT, min_size=1, max_size=8), interval=st.sampled_from(Interval))
def test_plain_path_equals_typed_path(
    cursor: duckdb.DuckDBPyConnection, texts: list[str], interval: Interval
) -> None:
    """Property 25: a body that may be cut at its commas gives what the typed way gives."""
    plain = run(cursor, body(texts), interval)
    typed = run(cursor, body(texts), interval, typed_only=True)

    assert plain.rules == typed.rules
    assert plain.rows == typed.rows
    assert plain.counts == typed.counts


GOOD = '["2024-01-10T09:15:00+0530",10,12.5,9.5,11,0]'


def is_plain(cursor: duckdb.DuckDBPyConnection, text: str) -> bool:
    """Tell whether the body takes the fast path."""
    run(cursor, text)
    return bool(cursor.execute("select reply_id from plain_reply").fetchall())


@pytest.mark.parametrize(
    "text",
    [
        body([GOOD]),
        body([]),
        body([GOOD.replace("0]", "0,5]"), GOOD.replace("0]", "0,123456789012345]")]),
        body([GOOD.replace("12.5", "0.1234567890123"), GOOD.replace("12.5", "12345678901.123")]),
        body([GOOD.replace("2024-01-10", "2024-02-29")]),
    ],
)
def test_kites_form_is_plain(cursor: duckdb.DuckDBPyConnection, text: str) -> None:
    """Kite's own form takes the fast path; were it lost, loading would take five times as long."""
    assert is_plain(cursor, text)


@pytest.mark.parametrize(
    "text",
    [
        body([GOOD, GOOD.replace("0]", "0,5]")]),
        body([GOOD.replace("12.5", "123456789012.123")]),
        body([GOOD.replace("2024-01-10", "2023-02-29")]),
        body([GOOD.replace("12.5", ".5")]),
        body([GOOD.replace("12.5", "1.2.5")]),
        body([GOOD]) + "\n",
        body([GOOD]).replace(":", ": ", 1),
        body([GOOD + ","]),
        body([GOOD + GOOD]),
        body([GOOD.replace("10,", '"10",')]),
        body([GOOD.replace("10,", "010,")]),
        body([GOOD.replace("10,", "-10,")]),
        body([GOOD.replace("10,", "1e1,")]),
        body([GOOD.replace("10,", "10.,")]),
        body([GOOD.replace("10,", "null,")]),
        body([GOOD.replace("0]", "0.0]")]),
        body([GOOD.replace("0]", "9223372036854775808]")]),
        body([GOOD.replace("0]", "0,1,2]")]),
        body([GOOD.replace(",0]", "]")]),
        body([GOOD.replace("+0530", "+0531")]),
        body([GOOD.replace("+0530", "")]),
        body([GOOD.replace("09:15", "24:00")]),
        body([GOOD.replace("2024", "२०२४")]),
    ],
)
def test_any_other_form_goes_the_typed_way(cursor: duckdb.DuckDBPyConnection, text: str) -> None:
    """What the fast path would misread never gets there."""
    assert not is_plain(cursor, text)


def test_each_rule_has_its_candle(cursor: duckdb.DuckDBPyConnection) -> None:
    """Every rule of `validate()` is one that SQL knows, by the same name."""
    bad = {
        "malformed": '"x"',
        "missing_field": "[]",
        "bad_date": GOOD.replace("01-10", "01-32"),
        "date_without_offset": GOOD.replace("+0530", ""),
        "number_as_string": GOOD.replace("10,", '"10",'),
        "not_a_number": GOOD.replace("10,", "NaN,"),
        "fractional_volume": GOOD.replace("0]", "0.5]"),
        "fractional_oi": GOOD.replace("0]", "0,0.5]"),
        "non_positive_price": GOOD.replace("9.5", "0"),
        "high_below_low": GOOD.replace("12.5", "9.4"),
        "open_outside": GOOD.replace("10,", "12.6,"),
        "close_outside": GOOD.replace("11,", "9.4,"),
        "negative_volume": GOOD.replace("0]", "-1]"),
        "volume_overflow": GOOD.replace("0]", "9223372036854775808]"),
        "negative_oi": GOOD.replace("0]", "0,-1]"),
        "oi_overflow": GOOD.replace("0]", "0,9223372036854775808]"),
        "outside_window": GOOD.replace("01-10", "02-01"),
        "off_grid": GOOD.replace("15:00", "15:01"),
        "duplicate": GOOD.replace("11,", "12,"),
    }
    found = run(cursor, body([*bad.values(), GOOD]))

    assert list(RULES) == list(bad)
    assert {*enumerate(RULES), (len(RULES), "duplicate")} == {
        (position, rule) for (_, position), rule in found.rules.items()
    }


def test_quarantine_keeps_the_text(cursor: duckdb.DuckDBPyConnection) -> None:
    """The text of a bad candle is the one that Kite sent."""
    bad = GOOD.replace("12.5", "9.40")

    assert [(1, 1, "high_below_low", bad)] == run(cursor, body([GOOD, bad])).quarantine


def test_a_body_that_cannot_be_read_is_quarantined(cursor: duckdb.DuckDBPyConnection) -> None:
    """A damaged reply does not stop the others, and does not vanish."""
    pick(cursor, [Picked(1, FIRST, LAST, LAST, "<html>"), Picked(2, FIRST, LAST, LAST, '{"a":1}')])

    found = parse(cursor, Interval.MINUTE)

    assert found.quarantine == [
        (1, 0, "malformed", '"<html>"'),
        (2, 0, "malformed", '"{\\"a\\":1}"'),
    ]


def test_an_empty_reply_is_counted(cursor: duckdb.DuckDBPyConnection) -> None:
    """A reply without candles is a reply with zeroes."""
    assert run(cursor, body([])).counts == [(1, 0, 0, 0, 0, 0)]


def test_of_repeated_keys_the_first_wins(cursor: duckdb.DuckDBPyConnection) -> None:
    """An object that names a field twice is read as DuckDB reads it, on purpose."""
    text = '{"date":"2024-01-10T09:15:00Z","open":2,"high":3,"low":1,"close":2,"volume":5,"open":9}'

    assert [row[1] for row in run(cursor, body([text])).rows] == [2.0]


def test_each_reply_gives_its_own_dates(cursor: duckdb.DuckDBPyConnection) -> None:
    """Of overlapping replies each gives the candles of the dates that it decides, no other."""
    other = GOOD.replace("01-10", "01-11")
    day = date(2024, 1, 10)
    pick(
        cursor,
        [
            Picked(1, FIRST, LAST, LAST, body([GOOD, other]), [(FIRST, day)]),
            Picked(2, FIRST, LAST, LAST, body([GOOD, other]), [(day + timedelta(1), LAST)]),
        ],
    )
    found = parse(cursor, Interval.MINUTE)

    assert found.candles["reply_id"].tolist() == [1, 2]
    assert found.counts == [(1, 2, 0, 1, 0, 1), (2, 2, 0, 1, 0, 1)]


def test_day_candles_stand_at_midnight_in_india(cursor: duckdb.DuckDBPyConnection) -> None:
    """A day candle is its IST date, whether Kite stamps it 00:00 or 09:15."""
    old = '["2024-01-10T09:15:00+0530",10,12.5,9.5,11,0]'
    now = '["2024-01-11T00:00:00+0530",10,12.5,9.5,11,0]'
    midnights = [datetime(2024, 1, day, tzinfo=IST).timestamp() * 10**6 for day in (10, 11)]

    assert midnights == [row[0] for row in run(cursor, body([old, now]), Interval.DAY).rows]


@pytest.mark.parametrize(
    "name", ["historical_minute", "historical_oi", "NIFTY26OCTFUT_5minute_oi_2026-10-05"]
)
def test_published_replies_are_all_good(
    cursor: duckdb.DuckDBPyConnection, name: str, real_data: Path
) -> None:
    """Every candle of the replies that Zerodha publishes is a good one, pretty-printed or not."""
    text = (real_data / "wire" / f"{name}.json").read_text(encoding="utf-8")
    candles = json.loads(text)["data"]["candles"]
    days = [date.fromisoformat(candle[0][:10]) for candle in candles]
    for form in (text, json.dumps(json.loads(text), separators=(",", ":"))):
        pick(cursor, [Picked(1, min(days), max(days), max(days), form)])
        found = parse(cursor, Interval.MINUTE)
        assert [(1, len(candles), 0, 0, 0, len(candles))] == found.counts
        assert [float(candle[1]) for candle in candles] == [row[1] for row in found.rows]
