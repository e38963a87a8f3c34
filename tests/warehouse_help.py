"""What the warehouse's tests share: instruments, replies and candles made by hand."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

import numpy as np
from hypothesis import strategies as st

from kitepipe.model import IST, Instrument, Interval
from kitepipe.warehouse import DatabaseManager
from kitepipe.warehouse_copy import Columns
from kitepipe.warehouse_rows import (
    NEVER_REBASED,
    LedgerEntry,
    ReplyCounts,
    SeriesState,
    microseconds,
)
from tests.servers import Rows, looking

FETCHED_AT = datetime(2024, 2, 1, 12, 30, tzinfo=UTC)
INFY = Instrument(408065, "NSE", "INFY", "INFOSYS", "EQ", "NSE", None, 0.0, 1594, 0.05, 1)
FIRST_US = microseconds(datetime(2024, 1, 1, 9, 15, tzinfo=IST))
MINUTE_US = 60_000_000
LAST_US = FIRST_US + 90 * 1440 * MINUTE_US

_tokens: Iterator[int] = count(1_000_001)


def entry(reply_id: int = 1, staging_id: str = "s1", **other: Any) -> LedgerEntry:
    """Make a reply of January 2024 that decides all of it."""
    first, last = date(2024, 1, 1), date(2024, 1, 31)
    made = LedgerEntry(staging_id, reply_id, "f00d", FETCHED_AT, first, last, first, last)
    return replace(made, **other)


def columns(
    at_us: Sequence[int], price: float = 100.0, volume: int = 10, oi: int | None = None
) -> Columns:
    """Make candles at these instants, all alike."""
    rows = len(at_us)
    prices = {name: np.full(rows, price) for name in ("open", "high", "low", "close")}
    return {
        "at_us": np.array(at_us, dtype=np.int64),
        **prices,
        "volume": np.full(rows, volume, dtype=np.int64),
        "oi": np.ma.masked_array(np.full(rows, oi or 0, dtype=np.int64), mask=oi is None),
    }


def minutes(*numbers: int) -> list[int]:
    """Return instants, so many minutes after FIRST_US."""
    return [FIRST_US + number * MINUTE_US for number in numbers]


def new_instrument(db: DatabaseManager) -> int:
    """Enter an instrument that no other test knows; return its id."""
    token = next(_tokens)
    return db.sync_instruments("help", [name(1, token, f"SYM{token}")])[1]


def name(
    key: int,
    token: int,
    symbol: str,
    valid_from: date = date(2024, 1, 1),
    valid_to: date | None = None,
    **other: Any,
) -> tuple[Any, ...]:
    """Make one row for sync_instruments."""
    values: dict[str, Any] = {
        "instrument_key": key,
        "valid_from": valid_from,
        "valid_to": valid_to,
        "instrument_token": token,
        "exchange_token": token // 256,
        "exchange": "NSE",
        "tradingsymbol": symbol,
        "name": f"{symbol} LTD",
        "instrument_type": "EQ",
        "segment": "NSE",
        "expiry": None,
        "strike": 0.0,
        "tick_size": 0.05,
        "lot_size": 1,
        "continuous": False,
    }
    assert other.keys() <= values.keys()
    return tuple((values | other).values())


def plain(stored: Columns) -> list[tuple[Any, ...]]:
    """Return columns as rows of Python values, None where oi is masked."""
    return list(zip(*(column.tolist() for column in stored.values()), strict=True))


def load(
    db: DatabaseManager,
    series_id: int,
    reply_id: int = 1,
    *,
    new: Columns | None = None,
    changed: Columns | None = None,
    gone: list[int] | None = None,
    counts: ReplyCounts | None = None,
    recount: bool = False,
) -> SeriesState:
    """Load one reply of the minute series, as a stage would."""
    with db.series(series_id, Interval.MINUTE) as series:
        claimed = entry(reply_id, f"s{series_id}")
        batch_id = series.claim([claimed])[claimed.key]
        made = ReplyCounts(
            new=series.copy_new(new or columns([]), batch_id),
            changed=series.update_changed(changed or columns([]), batch_id),
            gone=series.delete_gone(np.array(gone or [], dtype=np.int64)),
        )
        return series.finish({claimed.key: counts or made}, recount=recount)


def look_at(dsn: str, statement: str, *parameters: object) -> Rows:
    """Look through a second connection."""
    with looking(dsn) as look:
        return look(statement, *parameters)


def truth(dsn: str, series_id: int) -> SeriesState:
    """Count a series from its candles."""
    query = (
        "select min(date), max(date), count(*) from kite_ohlcv_historic where instrument_id = %s"
    )
    first, last, rows = look_at(dsn, query, series_id)[0]
    return SeriesState(first, last, rows, NEVER_REBASED, FETCHED_AT)


def kept(dsn: str, series_id: int) -> SeriesState:
    """Read the series row."""
    query = (
        "select first_candle, last_candle, candles, epoch, last_success from kite_series "
        "where instrument_id = %s"
    )
    return SeriesState(*look_at(dsn, query, series_id)[0])


PRICES = st.floats(min_value=5e-324, max_value=1.7976931348623157e308)
COUNTS = st.integers(0, 2**63 - 1)


@st.composite
def candle_columns(draw: st.DrawFn, max_rows: int = 30) -> Columns:
    """Candles of the first quarter of 2024 with any storable numbers, by time."""
    span = timedelta(days=80) // timedelta(microseconds=1)
    offsets = sorted(draw(st.sets(st.integers(0, span), max_size=max_rows)))
    rows = len(offsets)

    def floats() -> Any:
        return np.array(draw(st.lists(PRICES, min_size=rows, max_size=rows)), dtype=np.float64)

    known = draw(st.lists(st.none() | COUNTS, min_size=rows, max_size=rows))
    volumes = draw(st.lists(COUNTS, min_size=rows, max_size=rows))
    return {
        "at_us": np.array([FIRST_US + offset for offset in offsets], dtype=np.int64),
        **{price: floats() for price in ("open", "high", "low", "close")},
        "volume": np.array(volumes, dtype=np.int64),
        "oi": np.ma.masked_array(
            np.array([oi or 0 for oi in known], dtype=np.int64), mask=[oi is None for oi in known]
        ),
    }
