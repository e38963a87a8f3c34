"""The embedded PostgreSQL: it runs, it stops, it leaves folders as closed as it found them."""

import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg2
import pytest

from kitepipe.embedded import embedded_dsn
from kitepipe.errors import UsageError

pytest.importorskip("psutil", reason="the extra `embedded` is not installed")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A private folder with a short path: a socket's name has 107 characters at most."""
    with tempfile.TemporaryDirectory(prefix="kp") as name:
        yield Path(name)


def test_two_threads_have_it_as_long_as_each_needs(folder: Path) -> None:
    """Whoever is done first does not stop it for the other."""
    with embedded_dsn(folder / "postgres") as dsn:
        with ThreadPoolExecutor(1) as other:
            other.submit(_open_and_close, folder / "postgres").result()
        _do(dsn, "select 1")
    with pytest.raises(psycopg2.OperationalError):
        _do(dsn, "select 1")


def _open_and_close(folder: Path) -> None:
    with embedded_dsn(folder) as dsn:
        _do(dsn, "select 1")


def test_it_runs_while_it_is_open_and_keeps_its_data(folder: Path) -> None:
    """A second opening finds what the first one wrote, and afterwards nothing listens."""
    before = folder.stat().st_mode
    with embedded_dsn(folder / "postgres") as dsn:
        _do(dsn, "create table kept as select 42 as answer")
        assert folder.stat().st_mode & 0o066 == 0
    with embedded_dsn(folder / "postgres") as dsn:
        assert _do(dsn, "select answer from kept") == [(42,)]
    assert folder.stat().st_mode == before
    assert not (folder / "postgres" / "postmaster.pid").exists()
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect(dsn)


def _do(dsn: str, statement: str) -> list[tuple[object, ...]]:
    connection = psycopg2.connect(dsn)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if statement.startswith("select") else []
    finally:
        connection.close()


@pytest.mark.parametrize("name", ["two words", "a'b", "$(id)", "a;b"])
def test_a_path_that_a_shell_would_read_otherwise_is_refused(folder: Path, name: str) -> None:
    """The library hands the path to a shell: no folder's name may become a command."""
    with pytest.raises(UsageError, match="cannot live in"), embedded_dsn(folder / name / "pg"):
        pass
    assert os.listdir(folder) == []
