"""The filter: one predicate that DuckDB, PostgreSQL and a model in Python read the same way."""

import re
from bisect import bisect
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from fnmatch import fnmatchcase
from hashlib import md5
from pathlib import Path

import duckdb
import psycopg2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg2.extras import execute_values

from kitepipe.filters import InstrumentFilter

# exchange, tradingsymbol, instrument_type, segment, expiry, name
Row = tuple[str, str, str, str, date | None, str]
Ask = Callable[[list[Row], InstrumentFilter], list[Row]]

TYPES = st.sampled_from(["EQ", "FUT", "CE", "PE", "eq", ""])
EXCHANGES = st.sampled_from(["NSE", "BSE", "NFO", "MCX", "nse"])
SEGMENTS = st.sampled_from(["NSE", "BSE", "INDICES", "NFO-FUT", "NFO-OPT"])
DAYS = st.none() | st.dates(date(2026, 11, 1), date(2026, 11, 9))
SYMBOLS = st.one_of(
    st.sampled_from(
        [
            "INFY",
            "M&M",
            "BAJAJ-AUTO",
            "NIFTY PSU BANK",
            "NIFTY 50",
            "A.B",
            "A+B",
            "AXB",
            "X-BE",
            "X-N",
        ]
    ),
    st.text("ABN&-. +|()[]{}^$%\\'\"éß_19", min_size=1, max_size=6),
)
NAMES = st.sampled_from(["", "NIFTY", "M&M", "é"])
ROWS = st.lists(
    st.tuples(EXCHANGES, SYMBOLS, TYPES, SEGMENTS, DAYS, NAMES), unique=True, max_size=12
)
SHARDS = st.integers(1, 6).flatmap(lambda n: st.tuples(st.integers(1, n), st.just(n)))

_TABLE = (
    "create temp table instrument (exchange varchar, tradingsymbol varchar, "
    "instrument_type varchar, segment varchar, expiry date, name varchar)"
)
_SELECT = (
    "select exchange, tradingsymbol, instrument_type, segment, expiry, name from instrument where "
)


def patterns_of(symbols: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Symbols as a user may write them: bare, with an exchange, with wildcards put in."""
    starred = st.tuples(symbols, st.integers(0, 5), st.sampled_from("*?")).map(
        lambda part: part[0][: part[1]] + part[2] + part[0][part[1] + 1 :]
    )
    bare = st.one_of(symbols, starred)
    prefix = st.sampled_from(["NSE:", "BSE:", "*:", "N?E:"])
    return st.one_of(bare, st.tuples(prefix, bare).map("".join))


def model(row: Row, wanted: InstrumentFilter) -> bool:
    """What the documentation of InstrumentFilter says, in Python."""
    exchange, symbol, kind, segment, expiry, _ = row
    return (
        (not wanted.instrument_types or kind in wanted.instrument_types)
        and (not wanted.exchanges or exchange in wanted.exchanges)
        and (not wanted.segments or segment in wanted.segments)
        and (
            not wanted.tradingsymbols
            or any(_names(text, exchange, symbol) for text in wanted.tradingsymbols)
        )
        and (expiry is None or wanted.expiry_from is None or wanted.expiry_from <= expiry)
        and (expiry is None or wanted.expiry_to is None or expiry <= wanted.expiry_to)
        and (not wanted.plain_equities or _is_plain(row))
        and (not wanted.shard or _shard(row, wanted.shard[1]) == wanted.shard[0])
    )


def _is_plain(row: Row) -> bool:
    _, symbol, kind, segment, *_ = row
    return kind == "EQ" and segment in ("NSE", "BSE") and not re.search(r"(?s)-..\Z", symbol)


def _shard(row: Row, of: int) -> int:
    """Return in which of so many equal ranges the hash of exchange and base symbol lies."""
    exchange, symbol, kind, _, _, name = row
    base = re.sub(r"-(BE|BZ|SM|ST|SZ)\Z", "", symbol)
    if kind in ("FUT", "CE", "PE") and name:
        base = name
    digest = int(md5(f"{exchange}:{base}".encode()).hexdigest(), 16)
    return bisect([(part << 128) // of for part in range(of)], digest)


def in_order(rows: Iterable[Row]) -> list[Row]:
    """Sort rows of which some have no expiry."""
    return sorted(rows, key=str)


def _names(text: str, exchange: str, symbol: str) -> bool:
    whole = f"{exchange}:{symbol}"
    if not set(text) & set("*?"):
        return text in (symbol, whole)
    # fnmatch knows [sets] too, which a tradingsymbol does not.
    return fnmatchcase(whole, (text if ":" in text else f"*:{text}").replace("[", "[[]"))


@pytest.fixture(scope="module")
def duck() -> Iterator[Ask]:
    """DuckDB's answer."""
    with duckdb.connect() as connection:
        connection.execute(_TABLE)

        def ask(rows: list[Row], wanted: InstrumentFilter) -> list[Row]:
            connection.execute("delete from instrument")
            if rows:
                connection.executemany("insert into instrument values (?, ?, ?, ?, ?, ?)", rows)
            predicate, parameters = wanted.duckdb()
            return in_order(connection.execute(_SELECT + predicate, parameters).fetchall())

        yield ask


@pytest.fixture(scope="module")
def postgres(module_plain_dsn: str) -> Iterator[Ask]:
    """PostgreSQL's answer."""
    connection = psycopg2.connect(module_plain_dsn)
    with connection.cursor() as cursor:
        cursor.execute(_TABLE)

        def ask(rows: list[Row], wanted: InstrumentFilter) -> list[Row]:
            cursor.execute("delete from instrument")
            if rows:
                execute_values(cursor, "insert into instrument values %s", rows)
            predicate, parameters = wanted.postgresql()
            cursor.execute(_SELECT + predicate, parameters)
            return in_order(cursor.fetchall())

        yield ask
    connection.close()


def agree(duck: Ask, postgres: Ask, rows: list[Row], wanted: InstrumentFilter) -> None:
    """Hold both engines to the model."""
    expected = in_order(row for row in rows if model(row, wanted))
    assert duck(rows, wanted) == expected
    assert postgres(rows, wanted) == expected


@given(rows=ROWS, types=st.lists(TYPES, max_size=3))
def test_only_instruments_of_the_wanted_types_pass(
    duck: Ask, postgres: Ask, rows: list[Row], types: list[str]
) -> None:
    """Property 1: with types set, exactly the instruments of these types come through."""
    agree(duck, postgres, rows, InstrumentFilter(instrument_types=tuple(types)))


@given(rows=ROWS, exchanges=st.lists(EXCHANGES, max_size=3))
def test_only_instruments_of_the_wanted_exchanges_pass(
    duck: Ask, postgres: Ask, rows: list[Row], exchanges: list[str]
) -> None:
    """Property 2: with exchanges set, exactly the instruments listed there come through."""
    agree(duck, postgres, rows, InstrumentFilter(exchanges=tuple(exchanges)))


@given(data=st.data(), rows=ROWS)
def test_symbols_and_patterns_mean_the_same_in_both_engines(
    duck: Ask, postgres: Ask, data: st.DataObject, rows: list[Row]
) -> None:
    """Whatever characters a symbol holds, names and patterns pick the same instruments."""
    symbols = st.sampled_from([row[1] for row in rows]) if rows else SYMBOLS
    texts = data.draw(st.lists(patterns_of(st.one_of(symbols, SYMBOLS)), max_size=3))
    agree(duck, postgres, rows, InstrumentFilter(tradingsymbols=tuple(texts)))


@given(
    rows=ROWS,
    wanted=st.builds(
        InstrumentFilter,
        *(st.lists(part, max_size=2).map(tuple) for part in (TYPES, EXCHANGES, SEGMENTS)),
    ),
)
def test_all_settings_must_be_met_together(
    duck: Ask, postgres: Ask, rows: list[Row], wanted: InstrumentFilter
) -> None:
    """Types, exchanges and segments narrow each other."""
    agree(duck, postgres, rows, wanted)


@given(
    rows=ROWS,
    wanted=st.builds(
        InstrumentFilter, expiry_from=DAYS, expiry_to=DAYS, plain_equities=st.booleans()
    ),
)
def test_expiry_and_plain_equities_mean_the_same_in_both_engines(
    duck: Ask, postgres: Ask, rows: list[Row], wanted: InstrumentFilter
) -> None:
    """Bounds are inclusive and leave alone what never expires; a series is two characters long."""
    agree(duck, postgres, rows, wanted)


@given(rows=ROWS, shard=SHARDS)
def test_a_shard_is_the_same_in_both_engines(
    duck: Ask, postgres: Ask, rows: list[Row], shard: tuple[int, int]
) -> None:
    """Whatever symbols there are, a machine asks for the same ones as long as i/n stays."""
    agree(duck, postgres, rows, InstrumentFilter(shard=shard))


@given(rows=ROWS, of=st.integers(1, 6))
def test_shards_are_disjoint_and_together_everything(duck: Ask, rows: list[Row], of: int) -> None:
    """No instrument is asked by two machines, and none by nobody."""
    shards = [duck(rows, InstrumentFilter(shard=(number, of))) for number in range(1, of + 1)]
    assert in_order(row for shard in shards for row in shard) == in_order(rows)


@pytest.mark.parametrize("of", [2, 3, 7])
def test_what_belongs_together_stays_in_one_shard(duck: Ask, of: int) -> None:
    """All contracts of an underlying are asked by one machine, and a share in any series."""
    day = date(2026, 11, 26)
    groups: list[list[Row]] = [
        [
            ("NFO", f"{name}26NOVFUT", "FUT", "NFO-FUT", day, name),
            ("NFO", f"{name}26NOV100CE", "CE", "NFO-OPT", day, name),
            ("NFO", f"{name}26DEC90PE", "PE", "NFO-OPT", date(2026, 12, 31), name),
        ]
        for name in ("NIFTY", "BANKNIFTY", "M&M", "INFY")
    ]
    for symbol in ("CENTRALBK", "BAJAJ-AUTO", "INFY"):
        suffixes = ("", "-BE", "-BZ", "-SM", "-ST", "-SZ")
        groups.append([("NSE", symbol + s, "EQ", "NSE", None, symbol) for s in suffixes])
    for number in range(1, of + 1):
        found = duck(
            [row for group in groups for row in group], InstrumentFilter(shard=(number, of))
        )
        assert {len(set(group) & set(found)) / len(group) for group in groups} <= {0, 1}


# By the first digits of md5('NSE:INFY') and so on: 19, 57, fb, 38.
SHARES_OF_THREE = {1: {"INFY", "RELIANCE"}, 2: {"SBIN"}, 3: {"TCS"}}


def test_shards_of_names_that_stay_the_same_for_ever(duck: Ask) -> None:
    """Machines of any age agree: these were worked out once with md5sum."""
    symbols = ("INFY", "SBIN", "TCS", "RELIANCE")
    rows: list[Row] = [("NSE", symbol, "EQ", "NSE", None, "") for symbol in symbols]
    shards = {n: {r[1] for r in duck(rows, InstrumentFilter(shard=(n, 3)))} for n in (1, 2, 3)}
    assert shards == SHARES_OF_THREE


def test_shards_of_a_real_dump_are_about_equal(real_data: Path) -> None:
    """Of 9,420 NSE rows each of three machines gets a third, within a tenth of it."""
    sizes = [
        len(symbols_of_dump(real_data, InstrumentFilter(shard=(number, 3)))) for number in (1, 2, 3)
    ]
    assert sum(sizes) == 9420
    assert all(abs(size - 3140) < 314 for size in sizes)


def symbols_of_dump(real_data: Path, wanted: InstrumentFilter) -> list[str]:
    """Return what a filter leaves of the NSE rows of March 2026."""
    predicate, parameters = wanted.duckdb()
    parameters["dump"] = str(real_data / "dumps" / "NSE_raw_2026-03-14.csv")
    query = (
        "select tradingsymbol from (select * replace (try_cast(expiry as date) as expiry) from "
        f"read_csv($dump, all_varchar = true)) where {predicate}"
    )
    with duckdb.connect() as connection:
        return [symbol for (symbol,) in connection.execute(query, parameters).fetchall()]


def test_plain_equities_of_a_real_dump(real_data: Path) -> None:
    """Of 9,420 NSE rows of March 2026, 2,747 are shares in their regular series."""
    found = set(symbols_of_dump(real_data, InstrumentFilter(plain_equities=True)))
    assert len(found) == 2747
    assert {"INFY", "M&M", "BAJAJ-AUTO", "NAM-INDIA", "UMIYA-MRO"} <= found
    assert not found & {"NIFTY 50", "A2ZINFRA-BE", "ZTECH-SM", "575PY26-SG", "AARTISURF-P1"}
