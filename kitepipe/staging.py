"""Staging: the DuckDB file of raw replies, opened and closed here.

One process writes it; others may read it when nobody writes. Rooms `staging_*` hold what is done
with it; each takes a cursor, and a cursor belongs to one thread.
"""

import contextlib
import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from kitepipe.errors import StagingBusy, StagingError
from kitepipe.model import utc_now
from kitepipe.sql import load

SCHEMA_VERSION = 1
# Parsing 16 bodies of 1 MB at once takes about 150 MB; fetch stays far below (README, memory).
_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "memory_limit": "512MB",
    "threads": 2,
    "autoinstall_known_extensions": False,
}

Cursor = duckdb.DuckDBPyConnection


class Staging:
    """An open staging file; make one with `Staging.write` or `Staging.read`."""

    def __init__(self, path: Path, database: Cursor, *, writable: bool) -> None:
        self.path = path
        self.writable = writable
        self._database = database
        self.staging_id, self.api_root, self.created_at = _check_setup(path, database)

    @classmethod
    def write(cls, path: Path, api_root: str) -> "Staging":
        """Open the file for writing, and make it where it is missing.

        Raises StagingBusy where another process holds it, StagingError where it is foreign,
        damaged, newer, of another api root, or cannot be written.
        """
        fresh = not path.exists()
        database = _open(path, read_only=False)
        try:
            if fresh:
                _create(database, api_root)
            staging = cls(path, database, writable=True)
            if staging.api_root != api_root:
                raise StagingError(
                    f"staging {path}: it holds replies of {staging.api_root}, and api_root is "
                    f"{api_root}; use another staging file, they must not be mixed"
                )
        except BaseException:
            database.close()
            raise
        return staging

    @classmethod
    def read(cls, path: Path) -> "Staging":
        """Open the file read-only; errors as in `write`, and StagingError where it is missing."""
        if not path.exists():
            raise StagingError(f"staging {path}: there is no such file; 'kitepipe fetch' makes it")
        database = _open(path, read_only=True)
        try:
            return cls(path, database, writable=False)
        except BaseException:
            database.close()
            raise

    def __enter__(self) -> "Staging":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what was committed is on disk."""
        with translated(self.path):
            self._database.close()

    def cursor(self) -> Cursor:
        """Return a cursor for the calling thread."""
        return self._database.cursor()

    def file_bytes(self) -> int:
        """Return the size of the file and of the log beside it."""
        log = self.path.with_name(self.path.name + ".wal")
        return sum(file.stat().st_size for file in (self.path, log) if file.exists())


@contextlib.contextmanager
def transaction(cursor: Cursor) -> Iterator[Cursor]:
    """Commit what the block does, or nothing of it."""
    cursor.execute("begin")
    try:
        yield cursor
    except BaseException:
        with contextlib.suppress(duckdb.Error):  # a failed commit has ended it already
            cursor.execute("rollback")
        raise
    cursor.execute("commit")


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn DuckDB's errors about the file into ours."""
    try:
        yield
    except duckdb.IOException as error:
        raise _io_error(path, error) from error
    except duckdb.OutOfMemoryException as error:
        raise StagingError(f"staging {path}: out of memory: {_first_line(error)}") from error
    except (duckdb.FatalException, duckdb.SerializationException) as error:
        raise StagingError(f"staging {path}: the file is damaged: {_first_line(error)}") from error


def as_utc(instant: datetime | None) -> datetime | None:
    """Return an instant read from the file, aware: DuckDB gives UTC without saying so."""
    return instant.replace(tzinfo=UTC) if instant else None


def naive(instant: datetime | None) -> datetime | None:
    """Return an aware instant as the file keeps it."""
    return instant.astimezone(UTC).replace(tzinfo=None) if instant else None


def _open(path: Path, *, read_only: bool) -> Cursor:
    if path.is_dir() or not path.parent.is_dir():
        raise StagingError(f"staging {path}: not a file in an existing folder; see 'staging'")
    with translated(path):
        try:
            return duckdb.connect(str(path), read_only=read_only, config=_CONFIG)
        except (duckdb.InvalidInputException, duckdb.CatalogException) as error:
            raise StagingError(f"staging {path}: {_first_line(error)}") from error


def _create(database: Cursor, api_root: str) -> None:
    with transaction(database) as cursor:
        cursor.execute(load("staging_schema"))
        cursor.execute(
            "insert into setup values (?, ?, ?, ?)",
            [SCHEMA_VERSION, str(uuid.uuid4()), api_root, naive(utc_now())],
        )


def _check_setup(path: Path, database: Cursor) -> tuple[str, str, datetime]:
    try:
        rows = database.execute(load("staging_select_setup")).fetchall()
    except duckdb.CatalogException as error:
        raise StagingError(
            f"staging {path}: a DuckDB file, but not kitepipe's; name another with 'staging'"
        ) from error
    if len(rows) != 1:
        raise StagingError(f"staging {path}: its setup row is missing; the file is damaged")
    version, staging_id, api_root, created_at = rows[0]
    if version != SCHEMA_VERSION:
        raise StagingError(
            f"staging {path}: schema version {version}, and this kitepipe knows {SCHEMA_VERSION}; "
            "use the kitepipe that made it, or another staging file"
        )
    return staging_id, api_root, created_at.replace(tzinfo=UTC)


def _io_error(path: Path, error: duckdb.Error) -> StagingError:
    """DuckDB has one class for all that can go wrong with a file; its text tells which it is."""
    text = str(error)
    if "Could not set lock" in text:
        holder = re.search(r"\(PID (\d+)\)", text)
        who = f"process {holder[1]}" if holder else "another process"
        return StagingBusy(f"staging {path}: held by {who}; wait for it, or use --wait")
    if "not a valid DuckDB database file" in text:
        return StagingError(f"staging {path}: not a DuckDB file; name another with 'staging'")
    if "No space left" in text or "disk" in text.lower():
        return StagingError(f"staging {path}: no room left on its disk: {_first_line(error)}")
    return StagingError(f"staging {path}: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
