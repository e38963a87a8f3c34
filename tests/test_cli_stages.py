"""The stages from the command line, over HTTP to a sandbox: exit codes and what machines read."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from click.testing import CliRunner, Result

from kitepipe.cli import main
from kitepipe.sandbox import Sandbox
from tests.sandbox_asking import sandbox as running_sandbox
from tests.servers_local import free_port

ONE = ("--tradingsymbols", "NSE:INFY", "--from", "2026-11-02")


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("KITEPIPE_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def kite(tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox with a key of its own: processes with the same key wait for each other."""
    with running_sandbox(api_key=f"key{tmp_path.name}{os.getpid()}", now=None) as sandbox:
        yield sandbox


def _run(kite: Sandbox, *args: str, dsn: str = "", token: str = "sandbox_token") -> Result:
    environ = {
        "KITEPIPE_API_ROOT": kite.url,
        "KITEPIPE_API_KEY": kite.options.api_key,
        "KITEPIPE_ACCESS_TOKEN": token,
        "KITEPIPE_SESSION_FILE": "session.json",
        "KITEPIPE_RATE_LIMIT": "1000",
        "KITEPIPE_MAX_ATTEMPTS": "1",
        "KITEPIPE_DSN": dsn,
    }
    return CliRunner(env=environ).invoke(main, list(args))


def test_a_machine_reads_json_alone_on_both_streams(kite: Sandbox) -> None:
    """With --json stdout is one document; stderr, without a terminal, is one object a line."""
    result = _run(kite, "fetch", *ONE, "--json")
    report = json.loads(result.stdout)
    assert (result.exit_code, report["exit_code"], report["windows_done"]) == (0, 0, 1)
    lines = [json.loads(line) for line in result.stderr.splitlines()]
    assert {"time", "level", "logger", "message"} <= set(lines[0])
    assert any("fetch: 1 of 1 requests" in line["message"] for line in lines)


def test_a_mistyped_exchange_is_named(kite: Sandbox) -> None:
    """Kite lists nothing there: no damage, and no other try will help."""
    result = _run(kite, "instruments", "--exchanges", "NSEX")
    assert (result.exit_code, "exchanges = NSEX" in result.stderr) == (2, True)


def test_a_dry_run_asks_no_history(kite: Sandbox) -> None:
    """The plan tells requests, hours and bytes; the sandbox saw none of them."""
    result = _run(kite, "fetch", *ONE, "--dry-run", "--json")
    assert (result.exit_code, json.loads(result.stdout)["requests"]) == (0, 1)
    assert kite.requests.historical == 0


def test_fetch_then_load_is_done_and_done_again_is_nothing(kite: Sandbox, plain_dsn: str) -> None:
    """Two commands fill a database, the same two find nothing to do."""
    early = _run(kite, "load", "--json", dsn=plain_dsn)
    assert (early.exit_code, json.loads(early.stdout)["exit_code"]) == (13, 13)
    assert "kitepipe schema" in json.loads(early.stdout)["error"]
    _make_schema(plain_dsn)
    assert _run(kite, "fetch", *ONE, dsn=plain_dsn).exit_code == 0
    first = _run(kite, "load", "--json", dsn=plain_dsn)
    again = _run(kite, "load", "--json", dsn=plain_dsn)
    assert (first.exit_code, again.exit_code) == (0, 0)
    assert json.loads(first.stdout)["new"] > 0
    assert json.loads(again.stdout)["replies"] == 0


def _make_schema(dsn: str) -> None:
    text = Path(__file__).parents[1].joinpath("schema/timescale.sql").read_text(encoding="utf-8")
    connection = psycopg2.connect(dsn)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(text)
    finally:
        connection.close()


def _code_and_words(result: Result) -> tuple[int, str]:
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in result.stderr
    return result.exit_code, errors[0]


def test_a_dead_session_is_10_with_the_way_out(kite: Sandbox) -> None:
    """No session and a refused one: log in again."""
    for token in ("", "stale"):
        code, words = _code_and_words(_run(kite, "fetch", *ONE, token=token))
        assert code == 10
        assert "kitepipe login" in words


def test_a_kite_that_does_not_answer_is_11(kite: Sandbox) -> None:
    """Nobody listens there."""
    address = f"http://127.0.0.1:{free_port()}"
    code, words = _code_and_words(_run(kite, "fetch", *ONE, "--api-root", address))
    assert (code, words != "") == (11, True)


def test_a_file_that_is_no_staging_is_12(kite: Sandbox) -> None:
    """A file of another program is left as it is."""
    Path("notes.txt").write_text("my notes")
    code, words = _code_and_words(_run(kite, "fetch", *ONE, "--staging", "notes.txt"))
    assert (code, "notes.txt" in words) == (12, True)
    assert Path("notes.txt").read_text() == "my notes"


def test_a_load_without_a_database_is_2_and_with_a_dead_one_13(kite: Sandbox) -> None:
    """A mistyped variable must not fill a private database; a dead server loses nothing."""
    code, words = _code_and_words(_run(kite, "load"))
    assert (code, "KITEPIPE_DSN" in words) == (2, True)
    dsn = f"host=127.0.0.1 port={free_port()} dbname=x password=hush"
    code, words = _code_and_words(_run(kite, "load", dsn=dsn))
    assert (code, "hush" in words) == (13, False)


def test_an_unknown_symbol_is_2_and_no_match_is_0(kite: Sandbox) -> None:
    """A typing error is told; a filter that nothing passes is a warning."""
    code, words = _code_and_words(_run(kite, "fetch", "--tradingsymbols", "NSE:INFYY"))
    assert (code, "INFYY" in words) == (2, True)
    result: Any = _run(kite, "fetch", "--segments", "NOSUCH", "--json")
    assert (result.exit_code, bool(json.loads(result.stdout)["warnings"])) == (0, True)
