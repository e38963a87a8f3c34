"""A series beside other programs: foreign rows, other loaders, other sessions."""

import threading
import time
from datetime import date
from typing import Any

import numpy as np
import psycopg2
import pytest
from psycopg2.extensions import make_dsn

from kitepipe.errors import Collision, SeriesRefused, WarehouseError
from kitepipe.model import Interval
from kitepipe.warehouse import DatabaseManager
from kitepipe.warehouse_rows import ReplyCounts, instant
from tests.servers import Look
from tests.warehouse_help import (
    FIRST_US,
    LAST_US,
    MINUTE_US,
    columns,
    entry,
    kept,
    load,
    look_at,
    minutes,
    new_instrument,
    truth,
)


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


@pytest.mark.parametrize(
    "trouble",
    [
        "set transaction read only",
        "do $$ begin raise 'could not extend file' using errcode = 'disk_full'; end $$",
        "do $$ begin raise 'out of shared memory' using errcode = 'out_of_memory'; end $$",
    ],
)
def test_what_is_wrong_with_the_whole_server_is_no_matter_of_one_series(
    db: DatabaseManager, series_id: int, trouble: str
) -> None:
    """A full disk or a server that takes no writes ends the load (exit 13) at the first series."""

    def meet() -> None:
        with db.series(series_id, Interval.MINUTE) as series:
            with db.connection.cursor() as cursor:
                cursor.execute(trouble)
            series.copy_new(columns(minutes(0)), 1)

    with pytest.raises(WarehouseError) as caught:
        meet()
    assert (type(caught.value), caught.value.exit_code) == (WarehouseError, 13)


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
        loaded = "select count(*) from kite_series where instrument_id in (%s, %s)"
        assert look_at(dsn, loaded, series_id, other_id) == [(2,)], "the first is not over yet"


def _wait_for_waiter(dsn: str) -> None:
    query = (
        "select count(*) from pg_locks where locktype = 'advisory' and not granted "
        "and database = (select oid from pg_database where datname = current_database())"
    )
    deadline = time.monotonic() + 10
    while look_at(dsn, query) == [(0,)]:
        assert time.monotonic() < deadline, "nobody waits for the lock"
        time.sleep(0.01)


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


def test_a_session_that_cannot_be_set_leaves_no_connection(plain_dsn: str, look: Look) -> None:
    """Where a schema of the database's owner hides the server's functions, the door is shut."""
    look("create schema hides")
    look(
        "create function hides.set_config(text, text, boolean) returns text language plpgsql as "
        "$$ begin raise exception 'not here'; end $$"
    )
    hiding = make_dsn(plain_dsn, options="-c search_path=hides,pg_catalog", application_name="left")
    with pytest.raises(WarehouseError, match="not here") as refused:
        DatabaseManager(hiding).open()
    left = "select count(*) from pg_stat_activity where application_name = 'left'"
    deadline = time.monotonic() + 5  # the server takes a moment to see that we are gone
    while look(left) != [(0,)]:
        assert time.monotonic() < deadline, refused.value
        time.sleep(0.05)
