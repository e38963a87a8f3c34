"""Every exit code of the design's table, from the real command line of a process of its own."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from psycopg2.extensions import make_dsn

from kitepipe.model import Interval
from kitepipe.sandbox import Sandbox
from kitepipe.staging import Staging
from kitepipe.warehouse import DatabaseManager
from tests.box_help import Box, interrupted, wait_until
from tests.load_help import candles
from tests.sandbox_asking import ist, sandbox
from tests.servers import Look
from tests.servers_local import free_port

SOME = ("--from", "2026-11-02", "--exchanges", "NSE")
THREE = (*SOME, "--tradingsymbols", "NSE:INFY,NSE:SBIN,NSE:TCS", "--json")


@pytest.fixture
def kite(tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox with a key of its own, on a Friday evening."""
    with sandbox(api_key=f"key{tmp_path.name}{os.getpid()}", other_rate_limit=1000) as server:
        yield server


@pytest.fixture
def box(kite: Sandbox, tmp_path: Path) -> Box:
    """A box without a database."""
    return Box(tmp_path, kite)


@pytest.fixture
def full(box: Box, warehouse_dsn: str) -> Box:
    """A box with a database that has the schema."""
    box.dsn = warehouse_dsn
    return box


def test_done_nothing_to_do_and_no_data_are_0(full: Box, kite: Sandbox, look: Look) -> None:
    """A run, the same again, and dates without a session."""
    first = full.kitepipe("run", *THREE)
    assert (first.code, first.report["load"]["new"]) == (0, len(candles(look)))
    asked = kite.requests.historical
    again = full.kitepipe("run", *THREE)
    assert (again.code, again.report["fetch"]["requests"]) == (0, 0)
    assert kite.requests.historical == asked
    sunday = ("--from", "2026-10-31", "--to", "2026-11-01", "--tradingsymbols", "NSE:INFY")
    empty = full.kitepipe("run", *sunday, "--json")
    assert (empty.code, empty.report["fetch"]["replies"], empty.report["load"]["new"]) == (0, 1, 0)


def test_a_bug_is_1(box: Box) -> None:
    """What nobody foresaw ends with a traceback."""
    broken = "import kitepipe.status as p; p.status = lambda *_, **__: 1 / 0; "
    ended = box.kitepipe("status", program=("-c", broken + "from kitepipe.cli import main; main()"))
    assert (ended.code, "ZeroDivisionError" in ended.err) == (1, True)


def test_usage_is_2(box: Box) -> None:
    """No database named, a symbol that nobody lists, an interval that Kite does not have."""
    for args, word in (
        (("load",), "KITEPIPE_DSN"),
        (("fetch", "--tradingsymbols", "NSE:INFYY"), "INFYY"),
        (("fetch", "--candle-interval", "2minute"), "2minute"),
    ):
        ended = box.kitepipe(*args)
        assert (ended.code, word in ended.error) == (2, True), ended.err


def test_quarantined_candles_and_failed_series_are_3(full: Box, kite: Sandbox, look: Look) -> None:
    """Bad candles are named by their rule and the good ones of the same reply are loaded."""
    kite.correct("NSE:INFY", "day", ist(2026, 11, 17), close=-1)
    kite.correct("NSE:INFY", "day", ist(2026, 11, 18), raw='["2026-11-18T00:00:00+0530","x"]')
    kite.fail("NSE:SBIN", "500")
    ended = full.kitepipe("run", *THREE)
    report = ended.report
    assert (ended.code, report["load"]["quarantined"]) == (3, 2)
    assert report["load"]["quarantine_rules"] == {"missing_field": 1, "non_positive_price": 1}
    assert [f["what"] for f in report["fetch"]["failures"]] == [
        "NSE:SBIN day 2026-11-02..2026-11-20"
    ]
    stored = [row[1] for row in candles(look)]
    assert (stored.count("INFY"), stored.count("SBIN")) == (stored.count("TCS") - 2, 0)
    assert look("select count(*) from kite_quarantine") == [(2,)]


def test_no_session_and_no_data_plan_are_10(box: Box, tmp_path: Path) -> None:
    """Each with its own way out."""
    box.environ["KITEPIPE_ACCESS_TOKEN"] = ""
    ended = box.kitepipe("fetch", *SOME)
    assert (ended.code, "kitepipe login" in ended.error) == (10, True)
    with sandbox(api_key=f"poor{tmp_path.name}", permission=False) as poor:
        ended = Box(tmp_path, poor).kitepipe("fetch", *SOME)
    assert (ended.code, "plan" in ended.error, "login" in ended.error) == (10, True, False)


def test_a_session_that_dies_in_mid_run_is_10_and_what_is_staged_is_loaded(
    full: Box, kite: Sandbox, look: Look
) -> None:
    """Six series, and the token is killed after four: the summary counts what came in."""
    full.environ["KITEPIPE_PARALLEL_WORKERS"] = "1"
    full.environ["KITEPIPE_CANDLE_INTERVAL"] = "day,60minute"
    kite.fail("NSE:TCS", "expired_token", 1)
    ended = full.kitepipe("run", *THREE)
    report = ended.report
    assert (ended.code, report["exit_code"], "kitepipe login" in report["error"]) == (10, 10, True)
    assert report["fetch"]["replies"] == 4
    assert report["load"]["new"] == len(candles(look)) > 0
    assert {row[1] for row in candles(look)} == {"INFY", "SBIN"}


def test_a_wrong_address_and_every_instrument_failing_are_11(box: Box, kite: Sandbox) -> None:
    """Nobody listens there; everybody fails."""
    ended = box.kitepipe("fetch", *SOME, "--api-root", f"http://127.0.0.1:{free_port()}")
    assert (ended.code, "api_root" in ended.error) == (11, True)
    for symbol in ("INFY", "SBIN", "TCS"):
        kite.fail(f"NSE:{symbol}", "500")
    ended = box.kitepipe("fetch", *THREE)
    assert (ended.code, len(ended.report["failures"])) == (11, 3)
    assert "all 3 instruments failed" in ended.error


def test_a_staging_file_that_another_process_holds_is_12(full: Box) -> None:
    """For the writing verbs and the reading ones; status only tells of it."""
    with Staging.write(full.staging, full.kite.url):
        for verb in (("fetch", *SOME), ("load",), ("verify",)):
            ended = full.kitepipe(*verb)
            assert (ended.code, str(os.getpid()) in ended.error) == (12, True), ended.err


def test_a_warehouse_that_cannot_be_used_is_13(full: Box, plain_dsn: str) -> None:
    """Down, no such database, no schema: with the place, and never with the password."""
    full.kitepipe("fetch", *THREE)
    nowhere = re.sub(r"dbname=\S+", "dbname=nosuch", full.dsn)
    down = f"host=127.0.0.1 port={free_port()} dbname=x user=me password=hush"
    for dsn, word in ((down, "refused"), (nowhere, "nosuch"), (plain_dsn, "kitepipe schema")):
        full.dsn = dsn
        ended = full.kitepipe("load")
        assert (ended.code, word in ended.error, "hush" in ended.err) == (13, True, False)


@contextmanager
def _needs_password(look: Look, role: str) -> Iterator[None]:
    """Let the server ask one role for its password, as long as the block runs."""
    path, before = look("select f, pg_read_file(f) from current_setting('hba_file') as f")[0]

    def write(text: str) -> None:
        large = look("select lo_from_bytea(0, convert_to(%s, 'UTF8'))", text)[0][0]
        look("select lo_export(%s, %s)", large, path)
        look("select pg_reload_conf()")

    look(f"create role {role} login password 'right'")
    try:
        write(f"local all {role} scram-sha-256\nhost all {role} all scram-sha-256\n{before}")
        yield
    finally:
        write(before)
        look(f"drop role {role}")


def test_a_refused_password_is_13_and_is_not_repeated(box: Box, plain_dsn: str, look: Look) -> None:
    """The wrong password is refused; neither it nor the right one is in any line."""
    role = f"kitepipe_test_{os.getpid()}"
    with _needs_password(look, role):
        box.dsn = make_dsn(plain_dsn, user=role, password="wrongly")
        ended = box.kitepipe("schema")
    assert (ended.code, "password authentication failed" in ended.error) == (13, True)
    assert "wrongly" not in ended.out + ended.err


@pytest.mark.faults
def test_ctrl_c_ends_a_load_at_once_with_130(full: Box, look: Look) -> None:
    """A load that waits for another one's lock writes nothing, and can be started again."""
    full.kitepipe("fetch", *THREE)
    full.kitepipe("load", "--json")
    full.kitepipe("fetch", *THREE, "--refetch")
    before = candles(look)
    waits = "select 1 from pg_locks where locktype = 'advisory' and not granted"
    found = look("select instrument_id from kite_instruments where tradingsymbol = 'INFY'")[0][0]
    with (
        DatabaseManager(full.dsn) as warehouse,
        warehouse.series(found, Interval.DAY),
        full.started("load") as process,
    ):
        wait_until(process, lambda: look(waits))
        ended, seconds = interrupted(process)
    assert (ended.code, seconds < 2, "interrupted" in ended.err) == (130, True, True)
    assert "cancel" not in ended.err  # what it cancelled at the server is no failure
    assert candles(look) == before
    assert full.kitepipe("load").code == 0


@pytest.mark.faults
def test_ctrl_c_ends_a_run_at_once_with_130(full: Box, kite: Sandbox, look: Look) -> None:
    """In mid-fetch: what is staged is kept, and the next run goes on from there."""
    kite.fail("NSE:TCS", "stall", 1)
    with full.started("run", *THREE) as process:
        wait_until(process, lambda: kite.requests.historical == 3 and candles(look))
        ended, seconds = interrupted(process)
    assert (ended.code, seconds < 2) == (130, True)
    again = full.kitepipe("run", *THREE)
    assert (again.code, again.report["fetch"]["requests"]) == (0, 1)
    assert {row[1] for row in candles(look)} == {"INFY", "SBIN", "TCS"}
