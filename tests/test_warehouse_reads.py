"""What the warehouse answers: coverage for a fresh staging file, checksums, totals."""

from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime, timedelta
from itertools import combinations
from typing import Any

import numpy as np
import psycopg2
import pytest
from hypothesis import given
from psycopg2 import extensions
from psycopg2.extensions import make_dsn

from kitepipe.candle_checksum import PRICES, CandleHasher
from kitepipe.errors import SchemaMissing
from kitepipe.model import IST, Instrument, Interval, Window
from kitepipe.sql import load
from kitepipe.warehouse import DatabaseManager
from kitepipe.warehouse_copy import Columns
from kitepipe.warehouse_reads import Checksum, SeriesCoverage, Totals
from kitepipe.warehouse_rows import NEVER_REBASED, QuarantinedCandle, ReplyCounts, instant
from tests.servers import Look, looking
from tests.warehouse_help import (
    FETCHED_AT,
    MINUTE_US,
    candle_columns,
    columns,
    entry,
    minutes,
    name,
    new_instrument,
)

JANUARY = Window(date(2024, 1, 1), date(2024, 1, 31))
QUARTER = Window(date(2024, 1, 1), date(2024, 3, 31))
HASHER = CandleHasher()  # one for all: it uses its memory again


@pytest.fixture
def db(plain_dsn: str) -> Iterator[DatabaseManager]:
    """An empty warehouse."""
    with DatabaseManager(plain_dsn) as manager:
        manager.apply_schema()
        yield manager


@pytest.fixture(scope="module")
def module_db(module_plain_dsn: str) -> Iterator[DatabaseManager]:
    """A warehouse for many examples."""
    with DatabaseManager(module_plain_dsn) as manager:
        manager.apply_schema()
        yield manager


def put(db: DatabaseManager, series_id: int, candles: Columns) -> None:
    """Store candles of the minute series."""
    with db.series(series_id, Interval.MINUTE) as series:
        series.copy_new(candles, 1)
        series.finish({})


@given(candles=candle_columns())
def test_the_same_checksum_is_computed_here(module_db: DatabaseManager, candles: Columns) -> None:
    """Count and integer checksum agree on both sides for any storable numbers."""
    series_id = new_instrument(module_db)
    put(module_db, series_id, candles)
    expected = Checksum(*HASHER.checksum(candles))
    assert module_db.checksum(series_id, Interval.MINUTE, QUARTER) == expected


def test_the_checksum_is_the_same_for_the_candles_of_1995(module_db: DatabaseManager) -> None:
    """PostgreSQL counts from 2000: what lies before has negative numbers there."""
    series_id = new_instrument(module_db)
    days = [datetime(year, 1, 2, tzinfo=IST) for year in (1995, 1999, 2000)]
    candles = columns([round(day.timestamp()) * 1_000_000 for day in days])
    put(module_db, series_id, candles)
    found = module_db.checksum(series_id, Interval.MINUTE, Window(date(1995, 1, 1), JANUARY.last))
    assert found == Checksum(*HASHER.checksum(candles))


def test_a_checksum_covers_whole_ist_dates(module_db: DatabaseManager) -> None:
    """A window holds its candles from 00:00 IST of its first date to the end of its last."""
    series_id = new_instrument(module_db)
    days = [
        datetime(2024, 1, day, hour, minute, tzinfo=IST)
        for day, hour, minute in ((1, 23, 59), (2, 0, 0), (2, 23, 59), (3, 0, 0))
    ]
    at_us = [round(day.timestamp()) * 1_000_000 for day in days]
    put(module_db, series_id, columns(at_us))
    windows = [Window(date(2024, 1, a), date(2024, 1, b)) for a, b in ((2, 2), (1, 3), (4, 9))]
    sums = [module_db.checksum(series_id, Interval.MINUTE, window) for window in windows]
    assert [found.candles for found in sums] == [2, 4, 0]
    assert sums[2] == Checksum(0, 0)


CHANGES: list[dict[str, Any]] = [
    {"open": 100.0001},
    {"high": 101.0},
    {"low": 99.9999},
    {"close": 100.05},
    {"volume": 11},
    {"oi": 0},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_any_changed_field_changes_the_checksum(
    module_db: DatabaseManager, change: dict[str, Any]
) -> None:
    """One field of one candle is enough, as small as the fourth decimal, or oi that becomes 0."""
    sums = set()
    for changed in ({}, change):
        series_id = new_instrument(module_db)
        candles = columns(minutes(0, 1, 2))
        for field, value in changed.items():
            candles[field][1] = value
        put(module_db, series_id, candles)
        sums.add(module_db.checksum(series_id, Interval.MINUTE, JANUARY))
    assert len(sums) == 2


@pytest.mark.parametrize("field", ["at_us", "open", "high", "low", "close", "volume", "oi"])
def test_swapped_fields_change_the_checksum(field: str) -> None:
    """Candles with a field of each other are other candles; so are those at each other's times."""
    candles = columns(minutes(0, 1), oi=7)
    for number, name_ in enumerate(candles):
        candles[name_] = candles[name_] + np.array([0, number + 1])
    swapped = candles | {field: candles[field][::-1]}
    assert HASHER.checksum(swapped) != HASHER.checksum(candles)


@pytest.mark.parametrize("fields", list(combinations(PRICES, 2)))
def test_swapped_prices_change_the_checksum(fields: tuple[str, str]) -> None:
    """A candle's high is not its low."""
    first, second = fields
    candles = columns(minutes(0)) | {first: np.array([100.0]), second: np.array([200.0])}
    swapped = candles | {first: candles[second], second: candles[first]}
    assert HASHER.checksum(swapped) != HASHER.checksum(candles)


@pytest.mark.parametrize("rows", [65_536, 65_537, 200_000])
def test_the_checksum_of_many_candles_is_that_of_their_parts(rows: int) -> None:
    """It is summed block by block."""
    candles = columns(minutes(*range(rows)))
    for number, name_ in enumerate(("volume", *PRICES), 1):
        candles[name_] = candles[name_] + number * np.arange(rows)
    parts = [
        HASHER.checksum({name_: column[part] for name_, column in candles.items()})
        for part in (slice(1, 100), slice(100, rows), slice(1))
    ]
    assert HASHER.checksum(candles) == tuple(map(sum, zip(*parts, strict=True)))


def test_two_candles_that_change_alike_change_the_checksum() -> None:
    """The hashes of these two highs differ in few bits, which stand in both candles' other way."""
    at_us = [1_704_081_120_000_000, 1_704_442_260_000_000]
    sums = {
        HASHER.checksum(columns(at_us) | {"high": np.array([high, high])})
        for high in (106.95, 134.15)
    }
    assert len(sums) == 2


def test_a_checksum_is_the_work_of_one_process(db: DatabaseManager, plain_dsn: str) -> None:
    """Series are loaded side by side: two more processes for each scan would be in their way."""
    put(db, new_instrument(db), columns(minutes(*range(10_000))))
    free = ("parallel_setup_cost", "parallel_tuple_cost", "min_parallel_table_scan_size")
    eager = make_dsn(plain_dsn, options=" ".join(f"-c {name_}=0" for name_ in free))
    with closing(psycopg2.connect(eager)) as other, other, other.cursor() as cursor:
        cursor.execute("analyze kite_ohlcv_historic")
        assert "Gather" in _plan(cursor)
    with DatabaseManager(eager) as ours, ours.connection.cursor() as cursor:
        assert "Gather" not in _plan(cursor)


def _plan(cursor: extensions.cursor) -> str:
    everything = {"instrument_id": 1, "interval": "minute", "start": "-infinity"}
    statement = f"explain {load('warehouse_select_checksum')}"
    cursor.execute(statement, everything | {"finish": "infinity"})
    return str(cursor.fetchall())


def test_absurd_foreign_prices_do_not_break_the_checksum(
    module_db: DatabaseManager, module_plain_dsn: str
) -> None:
    """NaN, infinities and numbers beyond all prices are summed as one value, not an error."""
    series_id = new_instrument(module_db)
    insert = (
        "insert into kite_ohlcv_historic values "
        "(%s, 'minute', %s, 'NaN', 'Infinity', '-Infinity', 1e300, 0, null, 0)"
    )
    with looking(module_plain_dsn) as look:
        look(insert, series_id, instant(minutes(0)[0]))
    assert module_db.checksum(series_id, Interval.MINUTE, JANUARY).candles == 1


def test_coverage_is_what_replies_settled(db: DatabaseManager) -> None:
    """Islands of settled dates, holes open; upserts and replies of an old epoch do not count."""
    future = name(1, 900, "NIFTY24JANFUT", expiry=date(2024, 1, 25), instrument_type="FUT")
    series_id = db.sync_instruments("s1", [future])[1]
    settled = [(1, 5), (6, 9), (20, 22), (21, 21)]
    entries = [
        entry(number, first=date(2024, 1, first), last=date(2024, 1, last))
        for number, (first, last) in enumerate(settled)
    ]
    old = FETCHED_AT - timedelta(days=1)
    entries += [entry(8, fetched_at=old), entry(9, first=None, last=None)]
    with db.series(series_id, Interval.MINUTE) as series:
        batch_id = series.claim(entries)[entries[0].key]
        series.copy_new(columns([*minutes(0, 1), minutes(15 * 60)[0] + 1440 * MINUTE_US]), batch_id)
        state = series.finish({e.key: ReplyCounts() for e in entries}, FETCHED_AT)
    assert db.series_coverage() == [
        SeriesCoverage(
            series_id,
            Instrument(
                900,
                "NSE",
                "NIFTY24JANFUT",
                "NIFTY24JANFUT LTD",
                "FUT",
                "NSE",
                date(2024, 1, 25),
                0.0,
                3,
                0.05,
                1,
            ),
            False,
            Interval.MINUTE,
            FETCHED_AT,
            FETCHED_AT,
            state.first,
            state.last,
            date(2024, 1, 3),
            (
                Window(date(2024, 1, 1), date(2024, 1, 9)),
                Window(date(2024, 1, 20), date(2024, 1, 22)),
            ),
        )
    ]


def test_a_series_without_candles_is_covered_too(db: DatabaseManager) -> None:
    """An empty reply is an answer: its dates are covered, and there is no session."""
    series_id = new_instrument(db)
    with db.series(series_id, Interval.DAY) as series:
        series.claim([entry()])
        series.finish({entry().key: ReplyCounts()})
    (found,) = db.series_coverage()
    assert (found.settled, found.last_session, found.first) == ((JANUARY,), None, None)
    assert (found.epoch, found.interval) == (NEVER_REBASED, Interval.DAY)


def test_totals(db: DatabaseManager) -> None:
    """Totals come from the series rows and the ledger, without counting candles."""
    assert db.totals() == Totals(0, 0, 0, 0)
    series_id = new_instrument(db)
    with db.series(series_id, Interval.MINUTE) as series:
        series.claim([entry()])
        series.copy_new(columns(minutes(0, 1, 2)), 1)
        series.quarantine([QuarantinedCandle("s1", 1, 0, "bad_date", "[]")])
        series.finish({entry().key: ReplyCounts(new=3)})
    assert db.totals() == Totals(1, 3, 1, 1)


def test_tables_of_an_earlier_shape_are_refused(plain_dsn: str, look: Look) -> None:
    """A missing column is told as such, by the check and by applying the schema: it adds none."""
    with DatabaseManager(plain_dsn) as warehouse:
        warehouse.apply_schema()
        look("alter table kite_rebases drop column session")
        for step in (warehouse.check_schema, warehouse.apply_schema):
            with pytest.raises(SchemaMissing, match=r"kite_rebases\.session missing: .*replay"):
                step()
