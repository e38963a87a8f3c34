"""The transaction of one series: candles there and back, the delta, ledger, quarantine, locks."""

import math
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitepipe.model import Interval
from kitepipe.warehouse import DatabaseManager
from kitepipe.warehouse_copy import CANDLE_COLUMNS, Columns
from kitepipe.warehouse_rows import QuarantinedCandle, ReplyCounts, SeriesState
from tests.warehouse_help import (
    FETCHED_AT,
    FIRST_US,
    LAST_US,
    candle_columns,
    columns,
    entry,
    kept,
    load,
    look_at,
    minutes,
    new_instrument,
    plain,
    truth,
)


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


def test_each_group_of_a_series_writes_its_own_candles_alone(
    db: DatabaseManager, series_id: int
) -> None:
    """What one group changed or deleted is not written or deleted again by the next group."""
    load(db, series_id, new=columns(minutes(0, 1, 2)))
    with db.series(series_id, Interval.MINUTE) as series:
        series.update_changed(columns(minutes(0, 1), price=5.0), 2)
        series.update_changed(columns(minutes(1), price=6.0), 2)
        series.delete_gone(columns(minutes(1))["at_us"])
        series.copy_new(columns(minutes(1), price=7.0), 2)
        assert series.delete_gone(columns(minutes(0, 2))["at_us"]) == 2
        series.finish({})
        assert plain(series.existing(FIRST_US, LAST_US)) == plain(columns(minutes(1), price=7.0))


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
