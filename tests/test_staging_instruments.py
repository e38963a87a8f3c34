"""Claims about what is asked of the listed instruments, and when a dump is fresh."""

import sys
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kitepipe.cli.output import harmless
from kitepipe.filters import InstrumentFilter
from kitepipe.model import IST, Interval
from kitepipe.staging import Staging
from kitepipe.staging_instruments import (
    dump_date,
    idle_patterns,
    newest_snapshots,
    stale_exchanges,
    take_snapshot,
    unknown_symbols,
)
from kitepipe.staging_wanted import select_series, want_instruments
from tests.staging_help import API_ROOT, dump, line, listed, take

INFY = line(408065, "INFY", "INFOSYS")
TCS = line(2953217, "TCS", "TATA CONSULTANCY SERV LT")


def contract(token: int, symbol: str, expiry: str, strike: int = 0, kind: str = "FUT") -> str:
    """Write a row of an NFO contract."""
    other = {"expiry": expiry, "strike": strike, "instrument_type": kind, "segment": "NFO-FUT"}
    return line(token, symbol, "NIFTY", "NFO", **other)


@pytest.fixture
def staging(tmp_path: Path) -> Iterator[Staging]:
    """A new staging file."""
    with Staging.write(tmp_path / "kitepipe.duckdb", API_ROOT) as staging:
        yield staging


@pytest.mark.parametrize("symbol", ["M&M", "BAJAJ-AUTO", "NIFTY PSU BANK", "ARE&M-BE", "20MICRONS"])
def test_odd_symbols_are_symbols(staging: Staging, symbol: str) -> None:
    """Ampersands, dashes, spaces and digits are part of symbols, in dumps and in filters."""
    take(staging, 1, INFY, line(257, symbol, "X, LTD"))
    with staging.cursor() as cursor:
        wanted = InstrumentFilter(tradingsymbols=(symbol,))
        assert want_instruments(cursor, wanted) == 1
        [series] = select_series(cursor, [Interval.DAY])
        unknown = unknown_symbols(cursor, [symbol, f"NSE:{symbol}", f"BSE:{symbol}"])
        assert unknown == {f"BSE:{symbol}": f"NSE:{symbol}"}
    assert (series.instrument.tradingsymbol, series.instrument.name) == (symbol, "X, LTD")


_CELL = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [*("257", "1", "NSE", "EQ", '"', '""', '"a', 'a"b', '"c', '"d"e'), "\r", "\0", "#", "NULL"]
    ),
)
_LINE = st.one_of(
    st.binary(max_size=80),
    st.lists(_CELL, max_size=14).map(lambda cells: ",".join(cells).encode("utf-8", "replace")),
)


@given(bad=st.lists(_LINE, min_size=1, max_size=6))
@example(bad=[b'2304,9,a"b,"c,0,,0,0.05,1,EQ,NSE,NSE'])
@example(bad=[b'768,3,x"y,"'])
def test_no_line_of_a_dump_takes_others_along(
    bad: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever stands between them, the instruments before and after are listed."""
    path = tmp_path_factory.mktemp("dump") / "kitepipe.duckdb"
    text = b"\n".join([dump(INFY).rstrip(), *bad, TCS.encode(), b""])
    with Staging.write(path, API_ROOT) as staging:
        report = take_snapshot(staging, text, "NSE", datetime(2026, 11, 20, 9, tzinfo=IST))
        assert {"INFY", "TCS"} <= set(listed(staging))
        assert report.rows >= 2


def test_what_ends_the_header_takes_no_row_along(staging: Staging) -> None:
    """Carriage returns, or a quote in a column that nobody needs."""
    for end in (b"\r", b"\r\r", b',"more', b""):
        text = dump(INFY, TCS).replace(b"\n", end + b"\n", 1)
        take_snapshot(staging, text, "NSE", datetime(2026, 11, 20, 9, tzinfo=IST))
        assert set(listed(staging)) == {"INFY", "TCS"}


def test_what_the_terminal_refuses_is_no_symbol_and_is_replaced_in_a_name(staging: Staging) -> None:
    """The same characters for both; a share is listed, a future not: its name is its underlying."""
    steering = [c for c in map(chr, range(sys.maxunicode)) if harmless(c) != c and c != "\r"]
    assert len(steering) > 70
    rows = [line(256 * n + 1, f"X{c}", "X") for n, c in enumerate(steering, start=1)]
    named = [line(256 * n + 1, f"N{n}", f"O{c}X") for n, c in enumerate(steering, start=1001)]
    future = line(256 * 9001, "F", f"NIFTY{steering[1]}", instrument_type="FUT")
    take(staging, 1, INFY, *rows, *named, future)
    assert set(listed(staging)) == {"INFY"} | {f"N{1001 + n}" for n in range(len(steering))}
    with staging.cursor() as cursor:
        cursor.execute("select distinct name from instrument where tradingsymbol like 'N%'")
        assert cursor.fetchall() == [("O\N{REPLACEMENT CHARACTER}X",)]


def test_unknown_symbols_are_those_nobody_lists(staging: Staging) -> None:
    """Mistyped, of another exchange or gone: named, with what was meant; patterns are no symbol."""
    take(staging, 1, INFY, TCS)
    take(staging, 2, INFY)
    with staging.cursor() as cursor:
        symbols = ["INFY", "NSE:INFY", "INFI", "BSE:INFY", "TCS", "NIF*", "?"]
        meant = {"BSE:INFY": "NSE:INFY", "INFI": "NSE:INFY", "TCS": None}
        assert unknown_symbols(cursor, symbols) == meant
        assert unknown_symbols(cursor, []) == {}


def test_patterns_that_match_nothing_are_told(staging: Staging) -> None:
    """What is gone counts no more; a continuous future is matched by the name it will have."""
    take(staging, 1, INFY, TCS, exchange="NSE")
    take(staging, 2, INFY, exchange="NSE")
    take(staging, 2, contract(258, "NIFTY26JUNFUT", "2026-06-30"), exchange="NFO")
    with staging.cursor() as cursor:
        met = ["INF?", "NSE:*", "*", "NIFTY-C*", "N*:INFY", "INFX"]
        assert idle_patterns(cursor, [*met, "INF??", "BSE:*", "TC*"]) == ["INF??", "BSE:*", "TC*"]


def test_what_expires_first_is_asked_first(staging: Staging) -> None:
    """After expiry the token is gone: the soonest comes first, then the rest by name."""
    rows = [
        TCS,
        contract(258, "NIFTY26JUNFUT", "2026-06-30"),
        INFY,
        contract(514, "NIFTY26MARFUT", "2026-03-31"),
        contract(770, "BANKNIFTY26MARFUT", "2026-03-31"),
    ]
    take(staging, 1, *rows, exchange="")
    with staging.cursor() as cursor:
        want_instruments(cursor, InstrumentFilter())
        found = select_series(cursor, [Interval.DAY, Interval.MINUTE], oi=True)
    assert [one.instrument.tradingsymbol for one in found[::2]] == [
        *("BANKNIFTY26MARFUT", "NIFTY26MARFUT", "NIFTY26JUNFUT", "INFY", "TCS")
    ]
    assert [one.interval for one in found[:2]] == [Interval.DAY, Interval.MINUTE]
    assert all(one.oi and one.snapshot_id == 1 for one in found)
    assert found[0].instrument.expiry == date(2026, 3, 31)


def test_a_dump_is_fresh_until_half_past_eight(staging: Staging) -> None:
    """Kite makes it about 08:30 IST: before, yesterday's is the newest there is."""

    def at(text: str) -> datetime:
        return datetime.fromisoformat(f"{text}+05:30")

    assert dump_date(at("2026-03-02T08:29:59")) == date(2026, 3, 1)
    assert dump_date(at("2026-03-02T08:30:00")) == date(2026, 3, 2)
    take_snapshot(staging, dump(INFY), "NSE", at("2026-03-02T08:10"))
    with staging.cursor() as cursor:
        assert stale_exchanges(cursor, ["NSE", "NFO"], at("2026-03-02T08:20")) == ["NFO"]
        assert stale_exchanges(cursor, ["NSE", "NFO"], at("2026-03-02T08:40")) == ["NSE", "NFO"]
        take_snapshot(staging, dump(INFY), "", at("2026-03-02T08:40"))
        assert stale_exchanges(cursor, ["NSE", "NFO", ""], at("2026-03-02T23:00")) == []
        taken = newest_snapshots(cursor)["NSE"].taken_at
    assert taken.astimezone(IST) == at("2026-03-02T08:10")


def test_only_futures_have_a_continuous_series(staging: Staging) -> None:
    """Continuous is asked where Kite has it: day candles of NFO and MCX futures."""
    future = {"expiry": "2026-12-31", "instrument_type": "FUT"}
    rows = [line(256, "F26DEC", "F", "NFO", **future), line(512, "M26DEC", "M", "MCX", **future)]
    rows += [line(768, "C26DEC", "C", "CDS", **future), line(1024, "E", "E LTD")]
    take(staging, 1, *rows, exchange="")
    intervals = [Interval.DAY, Interval.MINUTE]
    with staging.cursor() as cursor:
        want_instruments(cursor, InstrumentFilter(), continuous=True)
        found = select_series(cursor, intervals)
    assert {str(one) for one in found if one.continuous} == {
        "NFO:F-CONT day",
        "MCX:M-CONT day",
    }
    assert len(found) == 8
