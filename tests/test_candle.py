"""`OHLCVCandle`: what Kite says, as one candle, and whether it is a good one."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitepipe.candle import FIELDS, RULES, OHLCVCandle, verdicts
from kitepipe.model import IST, Interval, Window
from tests.candle_strategies import ODD_DATE, ODD_NUMBER, array_text, object_text, plain_fields

OPEN = datetime(2024, 1, 10, 9, 15, tzinfo=IST)
GOOD = OHLCVCandle(OPEN, 10, 12.5, 9.5, 11, 0)
WINDOW = Window(date(2024, 1, 1), date(2024, 1, 31))
JANUARY = st.datetimes(datetime(2024, 1, 1), datetime(2024, 1, 31)).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=0, tzinfo=IST)
)
PRICES = st.floats(0.05, 10**7)


@st.composite
def good_arrays(draw: st.DrawFn) -> list[Any]:
    """Return a good candle as Kite's array, with or without oi."""
    low, opened, close, high = sorted(draw(st.lists(PRICES, min_size=4, max_size=4)))
    counts = draw(st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=2))
    return [draw(JANUARY).strftime("%Y-%m-%dT%H:%M:%S%z"), opened, high, low, close, *counts]


def from_text(fields: list[str]) -> OHLCVCandle:
    """Read a candle from the JSON texts of its fields."""
    return OHLCVCandle.from_kite_response(json.loads(f"[{','.join(fields)}]"))


@given(raw=good_arrays())
def test_array_candles_keep_every_value(raw: list[Any]) -> None:
    """Property 17: an array becomes a candle, place by place, and a good one is good."""
    candle = OHLCVCandle.from_kite_response(raw)

    assert candle.validate() is None
    assert candle.date == datetime.fromisoformat(raw[0])
    assert list(candle.to_dict().values())[1:] == [*raw[1:], None][:6]


@given(raw=good_arrays(), name=st.sampled_from(["date", "timestamp"]), seed=st.randoms())
def test_object_candles_equal_array_candles(raw: list[Any], name: str, seed: Any) -> None:
    """Property 18: an object, its keys in any order, is the same candle as the array."""
    pairs = list(zip((name, *FIELDS[1:]), raw, strict=False))
    seed.shuffle(pairs)

    assert OHLCVCandle.from_kite_response(dict(pairs)) == OHLCVCandle.from_kite_response(raw)


@given(raw=good_arrays(), place=st.integers(0, 5), absent=st.booleans())
def test_required_fields_are_required(raw: list[Any], place: int, absent: bool) -> None:
    """Property 9: without any one of date, prices and volume a candle is refused."""
    names = dict(zip(FIELDS, raw, strict=False))
    if absent:
        del names[FIELDS[place]]
        cut = raw[:place]
    else:
        names[FIELDS[place]] = None
        cut = [*raw[:place], None, *raw[place + 1 :]]

    assert OHLCVCandle.from_kite_response(names).validate() == "missing_field"
    assert OHLCVCandle.from_kite_response(cut).validate() == "missing_field"


@given(
    raw=good_arrays(),
    place=st.integers(1, 6),
    odd=st.one_of(
        st.text(),
        st.booleans(),
        st.just([]),
        st.just({}),
        st.sampled_from([float("nan"), float("inf"), -float("inf"), 10**400]),
        PRICES.map(str),
    ),
)
def test_numbers_are_numbers(raw: list[Any], place: int, odd: Any) -> None:
    """Property 10: a field that is no finite number is refused, also one in quotes."""
    raw = [*raw, 0][:7]
    raw[place] = odd

    verdict = OHLCVCandle.from_kite_response(raw).validate()

    assert verdict in {"number_as_string", "not_a_number"}
    if isinstance(odd, str) and odd.replace(".", "", 1).isdecimal() and odd.isascii():
        assert verdict == "number_as_string"


@given(moment=JANUARY, minutes=st.integers(-1439, 1439), separator=st.sampled_from("T "))
def test_dates_with_an_offset_are_instants(moment: datetime, minutes: int, separator: str) -> None:
    """Property 11: a date is valid with any offset, with or without its colon, and kept exactly."""
    local = moment.astimezone(UTC) + timedelta(minutes=minutes)
    hours, rest = divmod(abs(minutes), 60)
    sign = "-" if minutes < 0 else "+"
    for colon in ("", ":"):
        text = f"{local:%Y-%m-%d}{separator}{local:%H:%M:%S}{sign}{hours:02}{colon}{rest:02}"
        candle = OHLCVCandle.from_kite_response([text, 10, 12.5, 9.5, 11, 0])
        assert candle.validate() is None
        assert candle.date == moment


@given(text=st.one_of(st.text(), st.dates().map(str), st.integers().map(str)))
def test_other_texts_are_no_dates(text: str) -> None:
    """Property 11: what is no date and time of day is refused."""
    assert replace(GOOD, date=OHLCVCandle.from_kite_response([text]).date).validate() == "bad_date"


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("2024-02-29T09:15:00+0530", None),
        ("2024-01-10 03:45:00Z", None),
        ("2023-02-29T09:15:00+0530", "bad_date"),
        ("2024-01-10T24:00:00+0530", "bad_date"),
        ("2024-01-10T23:59:60+0530", "bad_date"),
        ("2024-01-10T09:15:00+2400", "bad_date"),
        ("2024-01-10T09:15:00+0560", "bad_date"),
        (" 2024-01-10T09:15:00+0530", "bad_date"),
        ("2024-01-10T09:15:00+0530\n", "bad_date"),
        ("٢٠٢٤-01-10T09:15:00+0530", "bad_date"),
        ("1899-12-31T09:15:00+0530", "bad_date"),
        ("2100-01-01T09:15:00+0530", "bad_date"),
        ("2024-01-10T09:15:00", "date_without_offset"),
        ("2024-01-10 09:15:00", "date_without_offset"),
    ],
)
def test_the_calendar_and_the_offset_decide(text: str, rule: str | None) -> None:
    """Property 11: a date must exist, and say where its clock hangs."""
    candle = OHLCVCandle.from_kite_response([text, 10, 12.5, 9.5, 11, 0])

    assert candle.validate() == rule


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"volume": 10.0}, None),
        ({"volume": 10.5}, "fractional_volume"),
        ({"oi": 0.5}, "fractional_oi"),
        ({"low": 0}, "non_positive_price"),
        ({"open": -0.0}, "non_positive_price"),
        ({"high": 9}, "high_below_low"),
        ({"open": 13}, "open_outside"),
        ({"open": 9}, "open_outside"),
        ({"close": 13}, "close_outside"),
        ({"close": 9}, "close_outside"),
        ({"volume": -1}, "negative_volume"),
        ({"volume": 2**63 - 1}, None),
        ({"volume": 2**63}, "volume_overflow"),
        ({"oi": -1}, "negative_oi"),
        ({"oi": 2**63}, "oi_overflow"),
        ({"high": True}, "not_a_number"),
        ({"oi": "5"}, "number_as_string"),
        ({"open": 10, "high": 10, "low": 10, "close": 10, "volume": 0}, None),
        ({"date": OPEN + timedelta(days=40)}, "outside_window"),
        ({"date": OPEN + timedelta(seconds=1)}, "off_grid"),
    ],
)
def test_each_rule_names_what_is_wrong(change: dict[str, Any], rule: str | None) -> None:
    """One field out of order gives the rule's name; zero volume and flat candles are good."""
    assert replace(GOOD, **change).validate(Interval.MINUTE, WINDOW) == rule


@pytest.mark.parametrize("raw", [None, 5, "x", True, list(range(8))])
def test_what_is_no_candle_is_malformed(raw: Any) -> None:
    """Neither array nor object, or an array of more places than a candle has."""
    assert OHLCVCandle.from_kite_response(raw).validate() == "malformed"


@pytest.mark.parametrize(
    ("interval", "minute", "good"),
    [
        (Interval.MINUTE, 16, True),
        (Interval.MINUTE_3, 16, False),
        (Interval.MINUTE_3, 18, True),
        (Interval.MINUTE_10, 20, True),
        (Interval.MINUTE_10, 21, False),
        (Interval.MINUTE_15, 30, True),
        (Interval.MINUTE_30, 45, True),
        (Interval.MINUTE_60, 45, True),
        (Interval.MINUTE_60, 50, False),
        (Interval.DAY, 17, True),
    ],
)
def test_the_grid_is_that_of_whole_quarters(interval: Interval, minute: int, good: bool) -> None:
    """Sessions open at 09:00, 09:15 or, on Muhurat, 13:45: longer intervals hang on quarters."""
    candle = replace(GOOD, date=OPEN.replace(minute=minute))

    assert (candle.validate(interval) is None) is good


def test_windows_are_dates_in_india() -> None:
    """Just before midnight in India a candle belongs to the day that ends there."""
    late = replace(GOOD, date=datetime(2024, 1, 31, 18, 29, tzinfo=UTC))
    later = replace(GOOD, date=datetime(2024, 1, 31, 18, 30, tzinfo=UTC))

    assert late.validate(Interval.MINUTE, WINDOW) is None
    assert later.validate(Interval.MINUTE, WINDOW) == "outside_window"


def test_day_candles_stand_at_midnight_in_india() -> None:
    """Kite has stamped day candles with 00:00 and with 09:15; both are one date."""
    midnight = datetime(2024, 1, 10, tzinfo=IST)

    assert GOOD.at_us(Interval.DAY) == replace(GOOD, date=midnight).at_us(Interval.DAY)
    assert GOOD.at_us(Interval.DAY) == int(midnight.timestamp()) * 10**6


def test_one_instant_twice_is_good_only_with_equal_values() -> None:
    """Nobody can say which of two different candles of one instant is true: both are refused."""
    other, bad = replace(GOOD, close=12), replace(GOOD, close=13)

    assert verdicts([GOOD, GOOD, bad], Interval.MINUTE) == [None, None, "close_outside"]
    assert verdicts([GOOD, other, bad], Interval.MINUTE) == [
        "duplicate",
        "duplicate",
        "close_outside",
    ]


@given(text=st.one_of(array_text(), object_text(), ODD_NUMBER, ODD_DATE))
def test_any_json_has_a_verdict(text: str) -> None:
    """Whatever Kite sends, validate() answers with a rule or None and never raises."""
    candle = OHLCVCandle.from_kite_response(json.loads(text))

    assert candle.validate(Interval.MINUTE, WINDOW) in {None, *RULES}


@given(fields=plain_fields())
def test_a_candle_survives_its_own_dictionary(fields: list[str]) -> None:
    """What to_dict() gives is taken back as the same candle."""
    candle = from_text(fields)

    assert OHLCVCandle.from_kite_response(candle.to_dict()) == candle
