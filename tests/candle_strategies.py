"""Candles as JSON text, good ones and every kind of odd ones, for Hypothesis.

Text, not values: `10.0`, `1e3`, `16777217.10` and `1e999` are different tokens on the wire.
"""

from hypothesis import strategies as st

NAMES = ("date", "open", "high", "low", "close", "volume", "oi")
_DIGITS = "0123456789"


def _decimal_text(whole: int, places: str) -> str:
    return f"{whole}.{places}" if places else str(whole)


PRICE_TEXT = st.one_of(
    st.builds(_decimal_text, st.integers(1, 10**6), st.text(_DIGITS, max_size=3)),
    st.builds(_decimal_text, st.integers(0, 10**15 - 1), st.text(_DIGITS, max_size=15)),
    st.floats(min_value=5e-324, allow_infinity=False).map(repr),
    st.sampled_from(["16777217.10", "0.30000000000000004", "1e3", "1E+2", "9007199254740993"]),
)
COUNT_TEXT = st.one_of(
    st.integers(0, 10**7).map(str),
    st.integers(0, 2**63 - 1).map(str),
    st.sampled_from(["10.0", "1e3", "-0", "-0.0", "9223372036854775807", "9007199254740993.0"]),
)
ODD_NUMBER = st.sampled_from(
    [
        *("null", "true", "false", "[]", "{}", "[1]", '{"a":1}', "NaN", "Infinity", "-Infinity"),
        *("1e999", "-1e999", "1e308", "9" * 400, "-" + "9" * 400, "5e-324", "1e-400", "0", "-0.0"),
        *("-1", "-1.5", "10.5", "0.1e1", "1e18", "1e19", "9223372036854775807.0", "1e20"),
        *("9223372036854775808", "18446744073709551615", "18446744073709551616"),
        *("-9223372036854775808", "-9223372036854775809", "-1e30", "10.000000000000000001"),
        *('"100.5"', '"100"', '" 5 "', '"1e3"', '"-7"', '".5"', '"5."', '"+5"', '"1e999"'),
        *('""', '"abc"', '"NaN"', '"inf"', '"1,234"', '"0x10"', '"1_000"', '"true"', '"null"'),
        *('"١٢"', '"5\\u0000"', '"\\ud800"', '"5\\n"', '"5\\u00a0"', '"\\"5\\""'),
    ]
)
ODD_DATE = st.sampled_from(
    [
        *("null", "true", "5", "1704080700", "[]", "{}", "NaN", '""', '"today"', '"\\udc00"'),
        *(
            f'"{text}"'
            for text in (
                "2024-01-10 09:15:00+0530",
                "2024-01-10T09:15:00+05:30",
                "2024-01-10T03:45:00Z",
                "2024-01-10T03:45:00z",
                "2024-01-10T03:45:00+0000",
                "2024-01-10T03:45:00-0000",
                "2024-01-10T00:15:00-03:30",
                "2024-01-10T09:15:00+2359",
                "2024-01-10T09:15:00+2400",
                "2024-01-10T09:15:00+0560",
                "2024-01-10T09:15:00+05",
                "2024-01-10T09:15:00",
                "2024-01-10 09:15:00",
                "2024-01-10",
                "2024-01-10T09:15",
                "2024-01-10T09:15:00.5+0530",
                " 2024-01-10T09:15:00+0530",
                "2024-01-10T09:15:00+0530 ",
                "2024-01-10T09:15:00+0530\\n",
                "2024-01-10T09:15:00+0530\\u0000",
                "2024-01-10  09:15:00+0530",
                "2024-01-10t09:15:00+0530",
                "2024-01-10T24:00:00+0530",
                "2024-01-10T23:59:60+0530",
                "2024-01-10T09:60:00+0530",
                "2024-01-10T09:15:30+0530",
                "2024-01-10T09:16:00+0530",
                "2024-01-10T09:17:00+0530",
                "2024-01-10T09:15:00+0531",
                "2024-02-30T09:15:00+0530",
                "2023-02-29T09:15:00+0530",
                "2024-02-29T09:15:00+0530",
                "2024-13-01T09:15:00+0530",
                "2024-00-01T09:15:00+0530",
                "2024-01-00T09:15:00+0530",
                "1900-02-29T00:00:00+0530",
                "1900-01-01T00:00:00+2359",
                "1899-12-31T09:15:00+0530",
                "2099-12-31T23:59:00-2359",
                "2100-01-01T09:15:00+0530",
                "1969-12-31T09:15:00+0530",
                "0001-01-01T00:00:00+0530",
                "24-01-10T09:15:00+0530",
                "2024-1-10T09:15:00+0530",
                "٢٠٢٤-01-10T09:15:00+0530",
                "infinity",
                "epoch",
                "10-01-2024 09:15:00+0530",
            )
        ),
    ]
)


@st.composite
def plain_dates(draw: st.DrawFn) -> str:
    """Return a date as Kite writes it: mostly in January 2024, on the grid, often the same."""
    month = draw(st.sampled_from(["2024-01"] * 8 + ["2024-02", "2023-12"]))
    day, hour = draw(st.sampled_from([1, 10, 11, 31])), draw(st.sampled_from([0, 9, 23]))
    minute = draw(st.sampled_from([0, 15, 15, 15, 30, 45, 16, 20, 59]))
    second = draw(st.sampled_from([0] * 9 + [7]))
    return f'"{month}-{day:02}T{hour:02}:{minute:02}:{second:02}+0530"'


@st.composite
def plain_fields(draw: st.DrawFn) -> list[str]:
    """Return the tokens of a candle, prices mostly in order, with or without oi."""
    low, opened, close, high = sorted(draw(st.lists(PRICE_TEXT, min_size=4, max_size=4)), key=float)
    prices = [opened, high, low, close]
    if draw(st.integers(0, 9)) == 0:
        prices = draw(st.permutations(prices))
    counts = draw(st.lists(COUNT_TEXT, min_size=1, max_size=2))
    return [draw(plain_dates()), *prices, *counts]


@st.composite
def odd_fields(draw: st.DrawFn) -> list[str]:
    """Return the tokens of a candle of which one or two are odd."""
    fields = draw(plain_fields())
    for _ in range(draw(st.sampled_from([1, 1, 1, 2]))):
        # Volume and oi as often as prices: they have the most rules of their own.
        place = draw(st.sampled_from([0, 1, 2, 3, 4, 5, 5, -1, -1]))
        fields[place] = draw(ODD_NUMBER if place else ODD_DATE)
    return fields


@st.composite
def object_text(draw: st.DrawFn) -> str:
    """Return a candle in object form, its keys in any order, some missing or more than needed."""
    fields = draw(st.one_of(plain_fields(), odd_fields()))
    pairs = [f'"{name}":{text}' for name, text in zip(NAMES, fields, strict=False)]
    if draw(st.booleans()):
        pairs[0] = pairs[0].replace("date", "timestamp", 1)
        pairs += draw(st.sampled_from([[], [], ['"date":null'], ['"date":""']]))
    pairs += draw(st.sampled_from([[], [], ['"extra":[1,"]],[["]'], ['"Open":5']]))
    for _ in range(draw(st.sampled_from([0, 0, 0, 0, 0, 1, 2]))):
        pairs.pop(draw(st.integers(0, len(pairs) - 1)))
    return "{" + ",".join(draw(st.permutations(pairs))) + "}"


@st.composite
def array_text(draw: st.DrawFn) -> str:
    """Return a candle in array form, sometimes too short or too long."""
    fields = draw(odd_fields())
    fields = fields[: draw(st.sampled_from([7] * 12 + [5, 1, 0]))]
    fields += draw(st.sampled_from([[], [], [], [], [], [], ["null"], ["5", "6"]]))
    return draw(st.sampled_from(["[%s]", "[ %s ]"])) % ",".join(fields)


PLAIN_TEXT = plain_fields().map(lambda fields: f"[{','.join(fields)}]")
NO_CANDLE = st.sampled_from(["null", "5", '"],["', "true", "[[]]", "NaN", '"2024-01-10"'])
# Weighted, which one_of() is not.
CANDLE_TEXT = st.integers(0, 15).flatmap(
    lambda share: (
        PLAIN_TEXT
        if share < 4
        else array_text()
        if share < 10
        else object_text()
        if share < 15
        else NO_CANDLE
    )
)


def body(candles: list[str]) -> str:
    """Wrap candles as Kite does."""
    return '{"status":"success","data":{"candles":[' + ",".join(candles) + "]}}"
