"""The demo: the whole way on this machine, in its own folder, never into real work."""

import logging
import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import psycopg2
import pytest
from click.testing import CliRunner, Result

from kitepipe.cli import main


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("KITEPIPE_")]:
        monkeypatch.delenv(name)
    loggers = [logging.getLogger(name) for name in ("kitepipe", "kitepipe.progress")]
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)  # the demo is quiet, and other tests read the log


def _demo(*args: str, dsn: str) -> Result:
    return CliRunner(env={"KITEPIPE_DSN": dsn}).invoke(main, ["demo", *args])


def test_the_demo_fills_a_database_once_and_no_other(plain_dsn: str) -> None:
    """Its rows are shown; a kept folder asks for nothing again; another's candles are left alone.

    Synthetic candles among real ones could never be told apart again. A holiday is asked again
    until it is over: that is all that a second demo on the same day may ask.
    """
    first = _demo("--keep", dsn=plain_dsn)
    assert (first.exit_code, first.exception) == (0, first.exception)
    assert "INFY" in first.stdout.partition("from kite_ohlcv")[2]
    count = "select count(*), count(distinct candle_interval) from kite_ohlcv"
    [(rows, intervals)] = _do(plain_dsn, count)
    assert (rows > 500_000, intervals) == (True, 3)

    newest, asked = _asked()
    again = _demo("--keep", dsn=plain_dsn)
    assert (again.exit_code, _asked(newest)[1]) == (0, asked)
    other = _demo("--folder", "other", dsn=plain_dsn)
    assert other.exit_code == 2
    assert "not this demo's" in other.stderr
    assert _do(plain_dsn, count) == [(rows, intervals)]
    assert os.listdir() == ["kitepipe-demo"]


def _asked(newest: date | None = None) -> tuple[date, int]:
    """Return the last date that was asked, and how many windows begin before it, or `newest`."""
    with duckdb.connect("kitepipe-demo/kitepipe.duckdb", read_only=True) as database:
        query = (
            "select max(last_date), count(*) filter (first_date < coalesce($newest, ("
            "select max(last_date) from chunk))) from chunk"
        )
        ((last, windows),) = database.execute(query, {"newest": newest}).fetchall()
        return last, windows


def _do(dsn: str, statement: str) -> list[Any]:
    connection = psycopg2.connect(dsn)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()
