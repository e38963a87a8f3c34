"""Fetch and load together, over HTTP and into real servers."""

import json
import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from psycopg2.extensions import make_dsn

from kitepipe import pipeline
from kitepipe.errors import AuthenticationError, UsageError, WarehouseError
from kitepipe.model import Interval
from kitepipe.plan import Bounds
from kitepipe.progress import Silent
from kitepipe.sandbox import Sandbox
from tests.box_help import Box, Wire, ended, wait_until
from tests.load_help import candles, footprint, with_schema
from tests.sandbox_asking import AUTHORIZATION, sandbox
from tests.sandbox_asking import candles as asked
from tests.servers import Look, looking
from tests.servers_local import free_port

SOME = Bounds(first=date(2026, 11, 2))
SYMBOLS = ("NSE:INFY", "NSE:SBIN", "NSE:TCS", "NSE:NIFTY 50")


@pytest.fixture
def kite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox with a key of its own, on a Friday evening."""
    key = f"key{tmp_path.name}{os.getpid()}"
    monkeypatch.setitem(AUTHORIZATION, "Authorization", f"token {key}:sandbox_token")
    with sandbox(api_key=key, other_rate_limit=1000) as server:
        yield server


@pytest.fixture
def box(kite: Sandbox, tmp_path: Path, warehouse_dsn: str) -> Box:
    """A box with an empty warehouse."""
    return Box(tmp_path, kite, warehouse_dsn)


@pytest.mark.parametrize("interval", [Interval.DAY, Interval.MINUTE_15])
def test_the_table_holds_what_kite_serves(
    interval: Interval, box: Box, kite: Sandbox, look: Look
) -> None:
    """Property 5: every field of every settled candle of every instrument, and nothing more."""
    settings = box.settings(tradingsymbols=SYMBOLS, candle_interval=(interval,), oi=True)
    report = pipeline.run(settings, SOME, Silent())
    expected = [
        ("NSE", symbol.removeprefix("NSE:"), interval.value, _instant(row[0]), *row[1:])
        for symbol in SYMBOLS
        for row in asked(kite, symbol, interval, "2026-11-02", "2026-11-20", oi=1)
    ]
    assert candles(look) == sorted(expected)
    assert (report.load.new, report.exit_code) == (len(expected), 0)


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def test_replay_into_an_empty_database_equals_the_first_run(
    box: Box, look: Look, plain_dsn: str
) -> None:
    """Property 21: on plain PostgreSQL too; into a full one it writes no row (22)."""
    settings = box.settings(
        tradingsymbols=SYMBOLS, candle_interval=(Interval.DAY, Interval.MINUTE_15)
    )
    pipeline.run(settings, Bounds(first=date(2026, 11, 2), last=date(2026, 11, 12)), Silent())
    pipeline.run(settings, SOME, Silent())
    before = footprint(look)
    again = pipeline.replay(settings, Silent())
    assert (again.new, again.equal) == (0, len(candles(look)))
    assert footprint(look) == before
    other = box.settings(dsn=with_schema(plain_dsn))
    assert pipeline.replay(other, Silent()).new == len(candles(look))
    with looking(plain_dsn) as inside:
        assert candles(inside) == candles(look)


def test_a_second_run_asks_nothing_and_writes_nothing(box: Box, kite: Sandbox, look: Look) -> None:
    """Property 22: what is known is not asked again, and not a row is touched."""
    settings = box.settings(tradingsymbols=SYMBOLS)
    pipeline.run(settings, SOME, Silent())
    before = footprint(look)
    kite.clear_log()
    report = pipeline.run(settings, SOME, Silent())
    assert (report.fetch.requests, report.load.series, kite.requests.historical) == (0, 0, 0)
    assert footprint(look) == before


def test_a_run_loads_while_it_fetches(box: Box, kite: Sandbox, look: Look) -> None:
    """The first series is in the table before the last request is sent."""
    kite.fail("NSE:TCS", "stall", 1)
    args = ("--from", "2026-11-02", "--tradingsymbols", "NSE:INFY,NSE:SBIN,NSE:TCS")
    with box.started("run", *args) as process:
        wait_until(process, lambda: len({row[1] for row in candles(look)}) == 2)
        assert process.poll() is None
        assert kite.requests.historical <= 3


def test_replies_left_by_an_earlier_fetch_are_loaded_with_the_new_ones(
    box: Box, kite: Sandbox, look: Look
) -> None:
    """A series that waits to be loaded and is fetched at the same time is loaded once, whole."""
    settings = box.settings(tradingsymbols=SYMBOLS, candle_interval=(Interval.MINUTE_15,))
    pipeline.fetch(settings, Bounds(first=date(2026, 6, 1), last=date(2026, 10, 30)), Silent())
    report = pipeline.run(settings, Bounds(first=date(2026, 6, 1)), Silent())
    assert (report.load.new, report.load.changed) == (len(candles(look)), 0)
    first, last = look("select min(trade_date), max(trade_date) from kite_ohlcv")[0]
    assert (first, last) == (date(2026, 6, 1), date(2026, 11, 20))
    assert report.load.failures == []


def test_a_warehouse_that_is_down_stops_no_fetch(box: Box, kite: Sandbox) -> None:
    """Everything is asked and staged, then it is exit 13; later a load brings it all in."""
    down = f"host=127.0.0.1 port={free_port()} dbname=x"
    settings = box.settings(tradingsymbols=SYMBOLS, dsn=down)
    with pytest.raises(WarehouseError) as caught:
        pipeline.run(settings, Bounds(first=date(2026, 11, 2), from_scratch=True), Silent())
    assert caught.value.exit_code == 13
    assert kite.requests.historical == 4
    report = caught.value.report
    assert report is not None
    assert report.as_dict()["fetch"]["windows_done"] == 4
    assert pipeline.load(box.settings(), Silent()).series == 4


@pytest.mark.faults
def test_a_warehouse_that_dies_in_mid_run_stops_no_fetch(
    box: Box, kite: Sandbox, look: Look
) -> None:
    """Fetching goes on to its end, the code is 13, and the next run loads what was left."""
    args = ("run", "--from", "2026-11-02", "--tradingsymbols", ",".join(SYMBOLS), "--json")
    kite.fail("NSE:TCS", "stall")  # until the wire is cut
    box.environ |= {"KITEPIPE_TIMEOUT_S": "1", "KITEPIPE_MAX_ATTEMPTS": "20"}
    box.environ |= {"KITEPIPE_BACKOFF_BASE_S": "0.1", "KITEPIPE_BACKOFF_CAP_S": "0.1"}
    good = box.dsn
    with Wire(good) as wire:
        box.dsn = wire.dsn
        with box.started(*args) as process:
            wait_until(process, lambda: len({row[1] for row in candles(look)}) == 3)
            wire.cut()
            kite.fail("NSE:TCS", "stall", 0)
            one = ended(process)
    assert (one.code, one.report["exit_code"], one.report["fetch"]["windows_done"]) == (13, 13, 4)
    assert one.report["load"]["series"] == 3
    box.dsn = good
    asked_before = kite.requests.historical
    assert box.kitepipe(*args).code == 0
    assert (kite.requests.historical, len({row[1] for row in candles(look)})) == (asked_before, 4)


def test_a_run_without_a_session_still_loads_what_is_staged(box: Box, look: Look) -> None:
    """The token was dead from the start: the error is Kite's, the report counts what was loaded."""
    settings = box.settings(tradingsymbols=SYMBOLS)
    pipeline.fetch(settings, SOME, Silent())
    with pytest.raises(AuthenticationError) as caught:
        pipeline.run(replace(settings, access_token="dead"), SOME, Silent())
    assert caught.value.report is not None
    assert caught.value.report.as_dict()["load"]["new"] == len(candles(look)) > 0


def test_a_connection_that_is_lost_is_opened_again(box: Box, look: Look) -> None:
    """The server ends every loading connection once: the series starts again, nothing fails."""
    settings = box.settings(tradingsymbols=SYMBOLS, load_workers=1)
    pipeline.fetch(settings, SOME, Silent())
    look(
        "create function once() returns trigger language plpgsql as $$ begin "
        "if nextval('lives') = 1 then perform pg_terminate_backend(pg_backend_pid()); end if; "
        "return new; end $$"
    )
    look("create sequence lives")
    look("create trigger once before insert on kite_load_ledger execute function once()")
    report = pipeline.load(settings, Silent())
    assert (report.exit_code, report.series, report.new) == (0, 4, len(candles(look)))


def test_the_log_says_what_became_of_each_series(
    box: Box, caplog: pytest.LogCaptureFixture
) -> None:
    """A line per instrument: range, windows, candles, seconds; no secret in any line."""
    settings = box.settings(tradingsymbols=("NSE:INFY",))
    with caplog.at_level(logging.DEBUG):
        pipeline.run(settings, SOME, Silent())
    lines = [record.getMessage() for record in caplog.records]
    assert any("INFY day 2026-11-02..2026-11-20: 1 window, 15 new" in line for line in lines)
    assert not [line for line in lines if "sandbox_token" in line]


def test_a_scheduler_imports_with_one_call(kite: Sandbox, tmp_path: Path, plain_dsn: str) -> None:
    """The schema is made where it is missing; settings come by name; disabled does nothing."""
    given = Box(tmp_path, kite, plain_dsn).settings()
    report = pipeline.import_historic_data_from_kite(
        given, bounds=SOME, tradingsymbols=["NSE:INFY"]
    )
    assert (report.load.new, json.dumps(report.as_dict()) != "") == (15, True)
    off = pipeline.import_historic_data_from_kite(given, enabled=False)
    assert "enabled = false" in off.warnings[0]
    one = pipeline.process_instrument("NSE:SBIN", "day", given, SOME)
    assert (one.load.series, one.load.new) == (1, 15)


def test_one_instrument_is_judged_as_any_settings(box: Box) -> None:
    """process_instrument heeds `enabled` and refuses what flags would refuse."""
    off = pipeline.process_instrument("NSE:SBIN", "day", box.settings(enabled=False), SOME)
    assert "enabled = false" in off.warnings[0]
    assert not box.settings().staging.exists()
    with pytest.raises(UsageError, match="continuous"):
        pipeline.process_instrument("NFO:NIFTY-CONT", "minute", box.settings(continuous=True))
    with pytest.raises(UsageError, match='"daily"'):
        pipeline.process_instrument("NSE:SBIN", "daily", box.settings())


def test_a_scheduler_needs_no_owner_where_the_tables_are(box: Box, look: Look) -> None:
    """Once the schema is there, a role that may only write rows imports."""
    role = f"kite_loader_{os.getpid()}"
    look(f"create role {role}")
    try:
        tables = look(
            "select table_name from information_schema.tables where table_name ~ '^kite_'"
        )
        names = ", ".join(str(name) for (name,) in tables)
        look(f"grant select, insert, update, delete on {names} to {role}")
        dsn = make_dsn(box.dsn, options=f"-c role={role}")
        given = box.settings(dsn=dsn, tradingsymbols=("NSE:INFY",))
        assert pipeline.import_historic_data_from_kite(given, bounds=SOME).load.new == 15
    finally:
        look(f"drop owned by {role}")
        look(f"drop role {role}")
