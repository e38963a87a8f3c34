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

    Synthetic candles among real ones could never be told apart again. A second demo on the same
    day may only ask for dates that were not settled: a holiday is not until it is over.
    """
    first = _demo("--keep", dsn=plain_dsn)
    assert (first.exit_code, first.exception) == (0, first.exception)
    assert "INFY" in first.stdout.partition("from kite_ohlcv")[2]
    count = "select count(*), count(distinct candle_interval) from kite_ohlcv"
    [(rows, intervals)] = _do(plain_dsn, count)
    assert (rows > 500_000, intervals) == (True, 3)

    settled, asked = _asked()
    again = _demo("--keep", dsn=plain_dsn)
    assert (again.exit_code, _asked(settled)[1]) == (0, asked)
    other = _demo("--folder", "other", dsn=plain_dsn)
    assert other.exit_code == 2
    assert "not this demo's" in other.stderr
    assert _do(plain_dsn, count) == [(rows, intervals)]
    assert os.listdir() == ["kitepipe-demo"]


def _asked(settled: date | None = None) -> tuple[date, int]:
    """Return the date that is settled of all series, and how many windows begin by it.

    The date may be given: what closes between two demos is asked again by the second.
    """
    with duckdb.connect("kitepipe-demo/kitepipe.duckdb", read_only=True) as database:
        by_series = (
            "select max(settled_through) as settled from reply join chunk using (chunk_id) "
            "group by instrument_key, interval"
        )
        [(date_of_all,)] = database.execute(f"select min(settled) from ({by_series})").fetchall()
        query = "select count(*) from chunk where first_date <= ?"
        [(windows,)] = database.execute(query, [settled or date_of_all]).fetchall()
        return date_of_all, windows


def _do(dsn: str, statement: str) -> list[Any]:
    connection = psycopg2.connect(dsn)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()
