"""The transaction of one series: candles there and back, the delta, ledger, quarantine, locks."""

import math
import threading
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import psycopg2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitepipe.errors import Collision, SeriesRefused
from kitepipe.model import Interval
from kitepipe.warehouse import DatabaseManager, QuarantinedCandle, ReplyCounts, SeriesState
from kitepipe.warehouse_copy import CANDLE_COLUMNS, Columns
from kitepipe.warehouse_rows import NEVER_REBASED, instant
from tests.servers import Rows, looking
from tests.warehouse_help import (
    FETCHED_AT,
    FIRST_US,
    MINUTE_US,
    candle_columns,
    columns,
    entry,
    minutes,
    new_instrument,
    plain,
)

LAST_US = FIRST_US + 90 * 1440 * MINUTE_US


@pytest.fixture(scope="module", params=["timescale", "plain"])
def dsn(request: pytest.FixtureRequest) -> str:
    """A warehouse with the schema, with and without TimescaleDB."""
    found: str = request.getfixturevalue(f"module_{request.param}_dsn")
    with DatabaseManager(found) as db:
        db.apply_schema()
        db.make_hypertable_chunks(date(2024, 1, 1), date(2024, 4, 1))
    return found


@pytest.fixture(scope="module")
def db(dsn: str) -> Iterator[DatabaseManager]:
    """A manager, connected for the whole module."""
    with DatabaseManager(dsn) as manager:
        yield manager


@pytest.fixture
def series_id(db: DatabaseManager) -> int:
    """An instrument that nothing was loaded of."""
    return new_instrument(db)


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


@given(candles=candle_columns())
def test_candles_come_back_bit_for_bit(db: DatabaseManager, candles: Columns) -> None:
    """Binary COPY in and out keeps every double, every bigint and every NULL oi exactly."""
    series_id = new_instrument(db)
    load(db, series_id, new=candles)
    with db.series(series_id, Interval.MINUTE) as series:
        stored = series.existing(FIRST_US, LAST_US)
    assert tuple(stored) == CANDLE_COLUMNS
    assert plain(stored) == plain(candles)
    assert {column.dtype.byteorder for column in stored.values()} == {"="}


def test_what_is_stored_reads_the_same_in_sql(
    db: DatabaseManager, dsn: str, series_id: int
) -> None:
    """The instant, the interval and the numbers are what a query shows."""
    load(db, series_id, new=columns(minutes(0), price=1699.25, volume=7, oi=9))
    rows = look_at(
        dsn,
        "select candle_interval, date, trade_date, open, high, low, close, volume, oi "
        "from kite_ohlcv join kite_instruments using (tradingsymbol) where instrument_id = %s",
        series_id,
    )
    opened = datetime(2024, 1, 1, 3, 45, tzinfo=UTC)
    assert rows == [("minute", opened, date(2024, 1, 1), *[1699.25] * 4, 7, 9)]


def test_more_rows_than_a_page_come_back_in_order(db: DatabaseManager, series_id: int) -> None:
    """Reading goes page by page, over the seams without a row lost, doubled or out of order."""
    at_us = [FIRST_US + 1_000_000 * number for number in range(131_072 * 2 + 1)]
    load(db, series_id, new=columns(at_us))
    with db.series(series_id, Interval.MINUTE) as series:
        assert series.existing(FIRST_US, LAST_US)["at_us"].tolist() == at_us
        assert series.existing(at_us[5], at_us[7])["at_us"].tolist() == at_us[5:8]


def test_a_price_that_is_not_finite_is_never_sent(db: DatabaseManager, series_id: int) -> None:
    """NaN and infinities are a bug upstream: they end the load before anything is written."""
    for odd in (math.nan, math.inf):
        bad = columns(minutes(0), price=odd)
        with pytest.raises(ValueError, match="not finite"):
            load(db, series_id, new=bad)


def test_foreign_infinities_change_nothing(db: DatabaseManager, dsn: str, series_id: int) -> None:
    """A foreign row at date infinity or with NaN prices disturbs neither reading nor counting."""
    insert = (
        "insert into kite_ohlcv_historic values (%s, 'minute', %s, 'NaN', 'Infinity', 1, 1, 0, "
        "null, 0)"
    )
    load(db, series_id, new=columns(minutes(1)))
    look_at(dsn, insert, series_id, instant(minutes(2)[0]))
    with db.series(series_id, Interval.MINUTE) as series:
        stored = series.existing(FIRST_US, LAST_US)
    assert np.isnan(stored["open"]).tolist() == [False, True]
    state = load(db, series_id, 2, gone=minutes(2), recount=True)
    assert (state.rows, state.last) == (1, instant(minutes(1)[0]))
    assert db.get_max_date_for_instrument(series_id, Interval.MINUTE) == date(2024, 1, 1)


def test_a_failure_leaves_nothing(db: DatabaseManager, dsn: str, series_id: int) -> None:
    """Property 15: whatever goes wrong before the end, not one row of the series is committed."""

    def fail() -> None:
        with db.series(series_id, Interval.MINUTE) as series:
            claimed = entry(1, f"s{series_id}")
            batch_id = series.claim([claimed])[claimed.key]
            series.copy_new(columns(minutes(0, 1)), batch_id)
            series.quarantine([QuarantinedCandle(*claimed.key, 0, "bad_date", "[]")])
            series.finish({claimed.key: ReplyCounts(new=2)})
            raise RuntimeError("the process dies")

    with pytest.raises(RuntimeError, match="dies"):
        fail()
    for table in ("kite_ohlcv_historic", "kite_load_ledger", "kite_series"):
        query = f"select count(*) from {table} where instrument_id = %s"
        assert look_at(dsn, query, series_id) == [(0,)], table
    quarantine = "select count(*) from kite_quarantine where staging_id = %s"
    assert look_at(dsn, quarantine, f"s{series_id}") == [(0,)]


def test_nothing_shows_before_the_end(db: DatabaseManager, dsn: str, series_id: int) -> None:
    """Property 15: another connection sees all of a series' load at once, or nothing of it."""
    count = "select count(*) from kite_ohlcv_historic where instrument_id = %s"
    with db.series(series_id, Interval.MINUTE) as series:
        series.copy_new(columns(minutes(0, 1)), 1)
        series.finish({})
        assert look_at(dsn, count, series_id) == [(0,)]
    assert look_at(dsn, count, series_id) == [(2,)]


STEPS = st.lists(
    st.tuples(st.sampled_from(["new", "changed", "gone"]), st.sets(st.integers(0, 12))),
    min_size=1,
    max_size=6,
)


@given(steps=STEPS)
def test_the_series_row_is_always_exact(
    db: DatabaseManager, dsn: str, steps: list[tuple[str, set[int]]]
) -> None:
    """First, last and count equal what counting gives, after any deltas, ends deleted or not."""
    series_id, have = new_instrument(db), set[int]()
    for number, (step, wanted) in enumerate(steps):
        chosen = minutes(*sorted(wanted - have if step == "new" else wanted & have))
        if step == "new":
            state = load(db, series_id, number, new=columns(chosen))
            have |= wanted
        elif step == "changed":
            state = load(db, series_id, number, changed=columns(chosen, price=number + 1))
        else:
            state = load(db, series_id, number, gone=chosen)
            have -= wanted
        assert state == truth(dsn, series_id)
    assert kept(dsn, series_id) == truth(dsn, series_id)


def test_changed_and_gone_candles(db: DatabaseManager, series_id: int) -> None:
    """A changed candle has the new values and batch, a gone one is no more, the rest stays."""
    load(db, series_id, new=columns(minutes(0, 1, 2), oi=3))
    changed = columns(minutes(1), price=5.5)
    load(db, series_id, 2, changed=changed, gone=minutes(2))
    with db.series(series_id, Interval.MINUTE) as series:
        stored = plain(series.existing(FIRST_US, LAST_US))
    assert stored == plain(columns(minutes(0), oi=3)) + plain(changed)


def test_deleting_what_is_not_there_counts_nothing(db: DatabaseManager, series_id: int) -> None:
    """delete_gone returns how many candles there were, and the series row follows that."""
    load(db, series_id, new=columns(minutes(0, 1)))
    assert load(db, series_id, 2, gone=minutes(1, 5)).rows == 1


def test_a_claim_is_written_once(db: DatabaseManager, dsn: str, series_id: int) -> None:
    """The same reply claimed again keeps its batch_id and its row, byte for byte."""
    ledger = "select *, xmin::text from kite_load_ledger where staging_id = %s"
    series = "select *, xmin::text from kite_series where instrument_id = %s"
    load(db, series_id, new=columns(minutes(0)), counts=ReplyCounts(new=1, held=4))
    before = look_at(dsn, ledger, f"s{series_id}"), look_at(dsn, series, series_id)
    load(db, series_id, counts=ReplyCounts(equal=1, held=4))
    assert (look_at(dsn, ledger, f"s{series_id}"), look_at(dsn, series, series_id)) == before


def test_the_ledger_tells_what_became_of_a_reply(
    db: DatabaseManager, dsn: str, series_id: int
) -> None:
    """Counts add up over loads of one reply; settled dates and window come back as given."""
    load(db, series_id, new=columns(minutes(0, 1)), counts=ReplyCounts(new=2, held=3, equal=1))
    load(db, series_id, changed=columns(minutes(0), 7.0), counts=ReplyCounts(changed=1, equal=2))
    counts = look_at(
        dsn,
        "select candles_new, candles_changed, candles_gone, candles_equal, candles_held, "
        "candles_quarantined from kite_load_ledger where staging_id = %s",
        f"s{series_id}",
    )
    assert counts == [(2, 1, 0, 2, 0, 0)]
    undecided = entry(2, f"s{series_id}", first=None, last=None)
    with db.series(series_id, Interval.MINUTE) as series:
        series.claim([undecided])
        entries = sorted(series.ledger(), key=lambda e: e.reply_id)
    assert entries == [entry(1, f"s{series_id}"), undecided]
    assert sorted(db.ledger_reply_ids(f"s{series_id}").tolist()) == [1, 2]
    assert db.ledger_reply_ids("nobody").tolist() == []


def test_a_claim_with_other_dates_is_written(db: DatabaseManager, series_id: int) -> None:
    """A reply that settles more dates now than when it was loaded says so afterwards."""
    load(db, series_id)
    settled = entry(1, f"s{series_id}", last=date(2024, 1, 20))
    with db.series(series_id, Interval.MINUTE) as series:
        series.claim([settled])
        series.finish({settled.key: ReplyCounts()})
    with db.series(series_id, Interval.MINUTE) as series:
        assert series.ledger() == [settled]


def test_last_success_is_the_newest_reply(db: DatabaseManager, series_id: int) -> None:
    """Replies loaded in any order leave the newest fetched_at in the series row."""
    for reply_id, days in ((1, 0), (2, 5), (3, 2)):
        claimed = entry(reply_id, f"s{series_id}", fetched_at=FETCHED_AT + timedelta(days))
        with db.series(series_id, Interval.MINUTE) as series:
            series.claim([claimed])
            state = series.finish({claimed.key: ReplyCounts()}, FETCHED_AT)
    assert state == SeriesState(None, None, 0, FETCHED_AT, FETCHED_AT + timedelta(5))
    with db.series(series_id, Interval.MINUTE) as series:
        assert series.state() == state


def test_a_series_never_loaded_has_no_state(db: DatabaseManager, series_id: int) -> None:
    """Before the first load: no state, no ledger, no rows."""
    with db.series(series_id, Interval.DAY) as series:
        assert series.state() is None
        assert series.ledger() == []
        assert not series.has_rows(FIRST_US, LAST_US)
        assert len(series.existing(FIRST_US, LAST_US)["oi"]) == 0
        assert series.claim([]) == {}


def test_the_probe_is_inclusive(db: DatabaseManager, series_id: int) -> None:
    """has_rows sees a candle at either end and none beside it; another interval is no matter."""
    load(db, series_id, new=columns(minutes(5)))
    at_us = minutes(5)[0]
    with db.series(series_id, Interval.MINUTE) as series:
        assert series.has_rows(at_us, at_us)
        assert not series.has_rows(at_us + 1, LAST_US)
        assert not series.has_rows(FIRST_US, at_us - 1)
    with db.series(series_id, Interval.DAY) as series:
        assert not series.has_rows(FIRST_US, LAST_US)


FOREIGN = "insert into kite_ohlcv_historic values (%s, 'minute', %s, 1, 1, 1, 1, 0, null, 0)"


def test_a_foreign_row_is_a_collision_and_then_counted(
    db: DatabaseManager, dsn: str, series_id: int
) -> None:
    """COPY onto a foreign row rolls back as Collision; the next try counts the series anew."""
    load(db, series_id, new=columns(minutes(0, 9)))
    look_at(dsn, FOREIGN, series_id, instant(minutes(4)[0]))
    with pytest.raises(Collision, match=f"instrument {series_id} minute"):
        load(db, series_id, 2, new=columns(minutes(4, 5)))
    assert kept(dsn, series_id).rows == 2
    state = load(db, series_id, 2, new=columns(minutes(5)), changed=columns(minutes(4)))
    assert state == truth(dsn, series_id)
    assert state.rows == 4


@pytest.mark.parametrize("number", [-1, 0, 1, 3, 20])
def test_a_foreign_row_that_is_seen_is_counted(
    db: DatabaseManager, dsn: str, series_id: int, number: int
) -> None:
    """Reading the series shows a foreign row to the transaction, which then counts it in."""
    if number > 0:
        load(db, series_id, new=columns(minutes(0, 2)))
    look_at(dsn, FOREIGN, series_id, instant(minutes(number)[0]))
    with db.series(series_id, Interval.MINUTE) as series:
        claimed = entry(2, f"s{series_id}")
        series.claim([claimed])
        series.existing(FIRST_US - MINUTE_US, LAST_US)
        state = series.finish({claimed.key: ReplyCounts()})
    assert state == truth(dsn, series_id)


def test_a_lost_table_is_counted_anew_on_request(
    db: DatabaseManager, dsn: str, series_id: int
) -> None:
    """After the candles were lost behind our back, `recount` puts the series row right."""
    load(db, series_id, new=columns(minutes(0, 1, 2)))
    look_at(dsn, "delete from kite_ohlcv_historic where instrument_id = %s", series_id)
    state = load(db, series_id, new=columns(minutes(1)), recount=True)
    assert state == truth(dsn, series_id)


def test_what_the_server_refuses_concerns_this_series_alone(
    db: DatabaseManager, series_id: int
) -> None:
    """An instrument that does not exist is SeriesRefused; the connection goes on working."""
    with pytest.raises(SeriesRefused, match="violates foreign key"):
        load(db, 999_999, new=columns(minutes(0)))
    assert load(db, series_id, new=columns(minutes(0))).rows == 1


def test_two_loaders_of_one_series_take_turns(dsn: str, series_id: int) -> None:
    """The second waits for the first one's commit, and then sees what it did."""
    order: list[Any] = []
    inside = threading.Event()

    def second() -> None:
        inside.wait(10)
        with (
            DatabaseManager(dsn) as other,
            other.series(series_id, Interval.MINUTE) as series,
        ):
            order.append(("second", series.has_rows(FIRST_US, LAST_US), series.state()))

    thread = threading.Thread(target=second)
    thread.start()
    with DatabaseManager(dsn) as first, first.series(series_id, Interval.MINUTE) as series:
        inside.set()
        _wait_for_waiter(dsn)
        series.copy_new(columns(minutes(0)), 1)
        state = series.finish({})
        order.append("first")
    thread.join(10)
    assert order == ["first", ("second", True, state)]


def test_other_series_do_not_wait(dsn: str, db: DatabaseManager, series_id: int) -> None:
    """Another interval of the instrument, or another instrument, is loaded beside."""
    other_id = new_instrument(db)
    with DatabaseManager(dsn) as first, first.series(series_id, Interval.MINUTE):
        with db.series(series_id, Interval.DAY) as series:
            series.finish({})
        with db.series(other_id, Interval.MINUTE) as series:
            series.finish({})


def _wait_for_waiter(dsn: str) -> None:
    query = (
        "select count(*) from pg_locks where locktype = 'advisory' and not granted "
        "and database = (select oid from pg_database where datname = current_database())"
    )
    deadline = time.monotonic() + 10
    while look_at(dsn, query) == [(0,)]:
        assert time.monotonic() < deadline, "nobody waits for the lock"
        time.sleep(0.01)


def test_quarantine_keeps_each_once(db: DatabaseManager, dsn: str, series_id: int) -> None:
    """Rows are kept as raw text; replies named in `of` keep no others than the ones given."""
    staging = f"s{series_id}"
    query = "select reply_id, position, rule, raw from kite_quarantine where staging_id = %s"
    rows = [
        QuarantinedCandle(staging, 1, 0, "bad_date", '["x"]'),
        QuarantinedCandle(staging, 1, 2, "bad_date", "nul \0 surrogate \ud800 é"),
        QuarantinedCandle(staging, 2, 0, "malformed", "3"),
    ]
    for of in ([], [(staging, 1), (staging, 2)]):
        with db.series(series_id, Interval.MINUTE) as series:
            series.quarantine(rows, of)
    with db.series(series_id, Interval.MINUTE) as series:
        series.quarantine([rows[1]], [(staging, 1)])
    assert sorted(look_at(dsn, query, staging)) == [
        (1, 2, "bad_date", "nul \\x00 surrogate \\ud800 é"),
        (2, 0, "malformed", "3"),
    ]


def test_the_session_of_the_caller_does_not_matter(dsn: str, series_id: int) -> None:
    """A database whose default isolation is serializable still sees the winner's commit."""
    name = psycopg2.extensions.parse_dsn(dsn)["dbname"]
    look_at(dsn, f"alter database {name} set default_transaction_isolation = 'serializable'")
    try:
        with DatabaseManager(dsn) as db:
            assert load(db, series_id, new=columns(minutes(0))).rows == 1
            level = db.connection.info.parameter_status("TimeZone")
            assert level == "UTC"
            with db.connection, db.connection.cursor() as cursor:
                cursor.execute("show transaction_isolation")
                assert cursor.fetchone() == ("read committed",)
    finally:
        look_at(dsn, f"alter database {name} reset default_transaction_isolation")
