"""upsert_ohlcv_data: candles from Python through the same lock, ledger and series row as a load."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitepipe.candle import OHLCVCandle
from kitepipe.model import IST, Instrument, Interval
from kitepipe.warehouse import DatabaseManager
from kitepipe.warehouse_rows import ReplyCounts, SeriesState
from tests.servers import Rows, looking
from tests.warehouse_help import FETCHED_AT, INFY, columns, entry, minutes, new_instrument

OPEN = datetime(2024, 1, 1, 9, 15, tzinfo=IST)

pytestmark = pytest.mark.parametrize("dsn", ["timescale"], indirect=True, scope="module")


def candle(minute: int = 0, price: float = 100.0, **other: Any) -> dict[str, Any]:
    """Make one good candle, as a dict of Kite's names."""
    made: dict[str, Any] = {"date": OPEN + timedelta(minutes=minute), "volume": 10, "oi": 5}
    return made | dict.fromkeys(("open", "high", "low", "close"), price) | other


def stored(dsn: str, series_id: int) -> Rows:
    """Read the candles through a second connection."""
    query = (
        "select date, open, high, low, close, volume, oi from kite_ohlcv_historic "
        "where instrument_id = %s order by date"
    )
    with looking(dsn) as look:
        return look(query, series_id)


def writes(dsn: str, series_id: int) -> Rows:
    """Return every row about a series with the transaction that wrote it."""
    tables = ("kite_ohlcv_historic", "kite_series", "kite_load_ledger")
    with looking(dsn) as look:
        return [
            row
            for table in tables
            for row in look(
                f"select xmin::text, t.* from {table} t where instrument_id = %s", series_id
            )
        ]


@st.composite
def good_candles(draw: st.DrawFn) -> OHLCVCandle:
    """A candle that breaks no rule."""
    prices = st.floats(0.0001, 1e9)
    low, high = sorted(draw(st.tuples(prices, prices)))
    within = st.floats(low, high)
    moment = OPEN + timedelta(minutes=draw(st.integers(0, 90 * 1440)))
    count = st.integers(0, 2**63 - 1)
    return OHLCVCandle(
        moment, draw(within), high, low, draw(within), draw(count), draw(st.none() | count)
    )


CANDLES = st.lists(good_candles(), max_size=8, unique_by=lambda c: c.date)


def as_rows(candles: list[OHLCVCandle]) -> Rows:
    """Say what the table must hold of these candles."""
    return sorted(tuple(c.to_dict().values()) for c in candles)


@given(candles=CANDLES)
def test_all_fields_are_stored(db: DatabaseManager, dsn: str, candles: list[OHLCVCandle]) -> None:
    """Property 5: date, prices, volume and oi of every candle stand in the table as given."""
    series_id = new_instrument(db)
    counts = db.upsert_ohlcv_data(series_id, "minute", candles)
    assert counts == ReplyCounts(new=len(candles))
    assert stored(dsn, series_id) == as_rows(candles)


@given(before=CANDLES, after=CANDLES, shared=st.data())
def test_an_upsert_updates_what_exists(
    db: DatabaseManager,
    dsn: str,
    before: list[OHLCVCandle],
    after: list[OHLCVCandle],
    shared: st.DataObject,
) -> None:
    """Property 6: a second upsert replaces candles of the same date, adds others, doubles none."""
    series_id = new_instrument(db)
    again = shared.draw(st.lists(st.sampled_from(before), unique=True)) if before else []
    moved = [OHLCVCandle(c.date, *list(a.to_dict().values())[1:]) for c, a in zip(again, after)]  # noqa: B905
    second = {c.date: c for c in [*after, *again, *moved]}
    db.upsert_ohlcv_data(series_id, "minute", before)
    counts = db.upsert_ohlcv_data(series_id, "minute", list(second.values()))
    first = {c.date: c for c in before}
    assert stored(dsn, series_id) == as_rows(list((first | second).values()))
    same = sum(first.get(moment) == c for moment, c in second.items())
    both = len(first.keys() & second.keys())
    assert counts == ReplyCounts(new=len(second) - both, changed=both - same, equal=same)
    with db.series(series_id, Interval.MINUTE) as series:
        state = series.state()
    assert (state.rows if state else 0) == len(first | second)


def test_equal_candles_write_nothing(db: DatabaseManager, dsn: str, series_id: int) -> None:
    """Upserting what is there already touches no row of any table."""
    candles = [candle(0), candle(1, oi=None)]
    db.upsert_ohlcv_data(series_id, Interval.MINUTE, candles)
    before = writes(dsn, series_id)
    assert db.upsert_ohlcv_data(series_id, Interval.MINUTE, candles) == ReplyCounts(equal=2)
    assert db.upsert_ohlcv_data(series_id, Interval.MINUTE, []) == ReplyCounts()
    assert writes(dsn, series_id) == before


def test_nothing_is_deleted(db: DatabaseManager, dsn: str, series_id: int) -> None:
    """Candles between the ones that are given stay."""
    db.upsert_ohlcv_data(series_id, "minute", [candle(0), candle(1), candle(2)])
    db.upsert_ohlcv_data(series_id, "minute", [candle(0, 7.0), candle(2, 7.0)])
    assert [row[1] for row in stored(dsn, series_id)] == [7.0, 100.0, 7.0]


def test_a_day_candle_stands_at_midnight_ist(db: DatabaseManager, dsn: str, series_id: int) -> None:
    """Whatever hour a day candle bears, it is its IST date's."""
    candles: list[Any] = [candle(0), ["2024-01-02T00:00:00+0530", 1, 2, 1, 2, 3]]
    db.upsert_ohlcv_data(series_id, "day", candles)
    midnight = datetime.combine(date(2024, 1, 1), time(), IST)
    assert [row[0] for row in stored(dsn, series_id)] == [midnight, midnight + timedelta(1)]


def test_bad_candles_are_quarantined(db: DatabaseManager, dsn: str, series_id: int) -> None:
    """A candle that breaks a rule is kept as raw text with the rule; the good ones go in."""
    candles: list[Any] = [candle(0), candle(1, low=-1.0), {"open": 1}, "2024"]
    counts = db.upsert_ohlcv_data(series_id, "minute", candles)
    assert counts == ReplyCounts(new=1, quarantined=3)
    query = (
        "select position, rule, raw from kite_quarantine join kite_load_ledger "
        "using (staging_id, reply_id) where instrument_id = %s order by position"
    )
    with looking(dsn) as look:
        rows = look(query, series_id)
        ledger = look("select * from kite_load_ledger where instrument_id = %s", series_id)
    assert [row[:2] for row in rows] == [
        (1, "non_positive_price"),
        (2, "missing_field"),
        (3, "malformed"),
    ]
    assert rows[1][2] == '{"open": 1}'
    assert len(ledger) == 1


def test_only_bad_candles(db: DatabaseManager, dsn: str, series_id: int) -> None:
    """Where no candle is good, the quarantine is all that is written."""
    assert db.upsert_ohlcv_data(series_id, "minute", ["x"]) == ReplyCounts(quarantined=1)
    assert stored(dsn, series_id) == []


def test_without_oi_the_stored_oi_stays(db: DatabaseManager, dsn: str, series_id: int) -> None:
    """oi=False says nothing about open interest: known values stay, new candles have none."""
    db.upsert_ohlcv_data(series_id, "minute", [candle(0, oi=5), candle(1, oi=None)])
    candles = [candle(0, 7.0, oi=None), candle(1, oi=9), candle(2, oi=9)]
    counts = db.upsert_ohlcv_data(series_id, "minute", candles, oi=False)
    assert counts == ReplyCounts(new=1, changed=1, equal=1)
    assert [row[6] for row in stored(dsn, series_id)] == [5, None, None]


def test_an_upsert_decides_nothing_for_later_loads(db: DatabaseManager, series_id: int) -> None:
    """Its ledger row names its own staging, claims no dates, and is no success of a fetch."""
    with db.series(series_id, Interval.MINUTE) as series:
        series.claim([entry(1, f"s{series_id}")])
        series.finish({entry(1, f"s{series_id}").key: ReplyCounts()}, FETCHED_AT)
    db.upsert_ohlcv_data(series_id, "minute", [candle(0), candle(5)])
    with db.series(series_id, Interval.MINUTE) as series:
        upserts = [e for e in series.ledger() if e.staging_id.startswith("upsert-")]
        state = series.state()
    (made,) = upserts
    assert (made.first, made.last, made.window_first) == (None, None, date(2024, 1, 1))
    ends = (OPEN, OPEN + timedelta(minutes=5))
    assert state == SeriesState(*ends, 2, FETCHED_AT, FETCHED_AT)


def test_an_unknown_instrument_is_entered(db: DatabaseManager) -> None:
    """Given as an Instrument, it gets an id; under a new symbol it is found by its token."""
    assert db.get_max_date_for_instrument(INFY, "minute") is None
    db.upsert_ohlcv_data(INFY, "minute", [candle(0)])
    renamed = Instrument(INFY.instrument_token, "NSE", "INFOSYS2")
    assert db.get_max_date_for_instrument(renamed, "minute") == date(2024, 1, 1)
    assert db.upsert_ohlcv_data(renamed, "minute", [candle(0)]) == ReplyCounts(equal=1)


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Kiritimati", "Asia/Kolkata"])
def test_max_date_is_ist_whatever_the_zone(
    db: DatabaseManager, series_id: int, dsn: str, zone: str
) -> None:
    """A day candle's date is its IST date in any session: in UTC it would be the day before."""
    db.upsert_ohlcv_data(series_id, "day", [candle(0), candle(3 * 1440)])
    db.upsert_ohlcv_data(series_id, "minute", [candle(15 * 60 - 16), candle(14 * 60)])
    with DatabaseManager(dsn) as other:
        with other.connection.cursor() as cursor:
            cursor.execute("select set_config('timezone', %s, false)", (zone,))
        assert other.get_max_date_for_instrument(series_id, "day") == date(2024, 1, 4)
        assert other.get_max_date_for_instrument(series_id, "minute") == date(2024, 1, 1)
        assert other.get_max_date_for_instrument(series_id, "60minute") is None
        with other.connection.cursor() as cursor:
            midnight = datetime.combine(date(2024, 1, 1), time(), IST)
            cursor.execute("select trade_date from kite_ohlcv where date = %s", (midnight,))
            assert set(cursor.fetchall()) == {(date(2024, 1, 1),)}


def test_a_foreign_row_beside_is_compared(db: DatabaseManager, dsn: str, series_id: int) -> None:
    """A row that another program wrote is changed like any other, and counted in."""
    with looking(dsn) as look:
        look(
            "insert into kite_ohlcv_historic values (%s, 'minute', %s, 1, 1, 1, 1, 0, null, 0)",
            series_id,
            OPEN.astimezone(UTC),
        )
    counts = db.upsert_ohlcv_data(series_id, "minute", [candle(0), candle(1)])
    assert counts == ReplyCounts(new=1, changed=1)
    with db.series(series_id, Interval.MINUTE) as series:
        state = series.state()
    assert state
    assert state.rows == 2


def test_candles_are_read_back_as_columns(db: DatabaseManager, series_id: int) -> None:
    """`candles` gives what a series holds between two instants, outside any transaction."""
    db.upsert_ohlcv_data(series_id, "minute", [candle(0), candle(1), candle(2)])
    found = db.candles(series_id, Interval.MINUTE, *minutes(0, 1))
    expected = columns(minutes(0, 1), oi=5)
    assert all(np.ma.allequal(found[name], expected[name]) for name in expected)
