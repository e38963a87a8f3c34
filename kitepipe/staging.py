"""Staging: the DuckDB file of raw replies, opened and closed here.

One process writes it; others may read it when nobody writes. Rooms `staging_*` hold what is done
with it; each takes a cursor, and a cursor belongs to one thread.
"""

import contextlib
import os
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from kitepipe.errors import StagingError
from kitepipe.model import utc_now
from kitepipe.sql import load
from kitepipe.staging_errors import is_the_files, told, translated
from kitepipe.staging_memory import FETCHING_BESIDE_LOADERS_MB, FETCHING_MB
from kitepipe.staging_open import PLANNING_THREADS, Fill, Opened, log_of, opened
from kitepipe.staging_open import Cursor as Cursor

SCHEMA_VERSION = 4

_HERE = Path()


class Staging:
    """An open staging file; make one with `Staging.write` or `Staging.read`."""

    def __init__(self, path: Path, file: Opened, archive: Path) -> None:
        self.path = path
        self._archive = archive
        self.is_shared = False
        self._file, self._is_open = file, True
        self.memory = file.memory
        self.staging_id, self.api_root, self.created_at = _check_setup(path, file.database)

    @classmethod
    def write(cls, path: Path, api_root: str | None, archive: Path = _HERE) -> "Staging":
        """Open the file for writing, and make it where it is missing.

        Without `api_root` it has to be there. `archive` is the folder of archived bodies.
        Raises StagingBusy where another process holds it, StagingError where it is foreign,
        damaged, newer, of another api root, or cannot be written.
        """
        fill = None
        if not _is_there(path):
            if api_root is None:
                raise _missing(path)
            fill = _beginning(api_root)
        file = opened(path, read_only=False, fill=fill)
        try:
            staging = cls(path, file, archive)
            if api_root not in (None, staging.api_root):
                raise StagingError(
                    f"staging {path}: it holds replies of {staging.api_root}, and api_root is "
                    f"{api_root}; name another file with 'staging', they must not be mixed"
                )
        except BaseException:
            file.close()
            raise
        return staging

    @classmethod
    def read(cls, path: Path, archive: Path = _HERE) -> "Staging":
        """Open the file read-only; errors as in `write`, and StagingError where it is missing."""
        if not _is_there(path):
            raise _missing(path)
        file = opened(path, read_only=True)
        try:
            return cls(path, file, archive)
        except BaseException:
            file.close()
            raise

    def __enter__(self) -> "Staging":
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Close the file; damage that shows itself at any statement of the block is told as such.

        Where the block failed, what else goes wrong in closing is of no use to anybody.
        """
        with contextlib.suppress(StagingError) if error else contextlib.nullcontext():
            self.close()
        if isinstance(error, duckdb.Error) and is_the_files(error):
            raise told(self.path, error) from error

    def close(self) -> None:
        """Close the file; what was committed is on disk."""
        if self._is_open:
            self._is_open = False
            with translated(self.path):
                self._file.close()

    @property
    def place(self) -> Path:
        """The file itself, whatever link or folder led to it."""
        return self._file.path

    @property
    def is_attached(self) -> bool:
        """False where `renew` has let the file go and could not take it again."""
        return self._file.is_attached

    def renew(self) -> bool:
        """Let the file go and take it again: what DuckDB keeps of all that was written is freed.

        False where its name is not its own any more: nothing is done. Cursors stay good; none may
        be in a transaction, or have a result that is not fetched to its end. Raises StagingBusy
        where another process has come in between: to be called again, nothing else is possible
        before. StagingError where it cannot be taken again.
        """
        with translated(self.path):
            return self._file.reattach()

    def cursor(self) -> Cursor:
        """Return a cursor for the calling thread; it knows where archived bodies are."""
        cursor = self._file.database.cursor()
        cursor.execute("use staging")
        cursor.execute("set variable archive_folder = ?", [str(self._archive.absolute())])
        return cursor

    @contextlib.contextmanager
    def sparing(self) -> Iterator[None]:
        """Take little memory meanwhile; more where `is_shared` with somebody who loads."""
        base = FETCHING_BESIDE_LOADERS_MB if self.is_shared else FETCHING_MB
        with self.cursor() as cursor, self.memory.based(base):
            cursor.execute("set threads = 1")  # two compress a seal no faster, and take 50 MB more
            try:
                yield
            finally:
                cursor.execute(f"set threads = {PLANNING_THREADS}")

    def file_bytes(self) -> int:
        """Return the size of the file and of the log beside it."""
        files = (self.path, log_of(self.path))
        return sum(file.stat().st_size for file in files if file.exists())


@contextlib.contextmanager
def transaction(cursor: Cursor) -> Iterator[Cursor]:
    """Commit what the block does, or nothing of it.

    A signal in the main thread may end any statement, `begin` and `commit` too, done or not done:
    the transaction is over all the same, and the cursor is good for the next one.
    """
    try:
        cursor.execute("begin")
        yield cursor
        cursor.execute("commit")
    except BaseException:
        with contextlib.suppress(duckdb.Error):  # where none is under way
            cursor.execute("rollback")
        raise


def flush(path: Path) -> None:
    """See that a file, or what stands in a folder, is on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def as_utc(instant: datetime | None) -> datetime | None:
    """Return an instant read from the file, aware: DuckDB gives UTC without saying so."""
    return instant.replace(tzinfo=UTC) if instant else None


def naive(instant: datetime | None) -> datetime | None:
    """Return an aware instant as the file keeps it."""
    return instant.astimezone(UTC).replace(tzinfo=None) if instant else None


def _is_there(path: Path) -> bool:
    """Tell whether the file exists; StagingError where it could not be one at all."""
    try:
        there, log = path.exists(), log_of(path).exists()
        impossible = not path.is_file() if there else not path.parent.is_dir()
    except OSError as error:
        raise StagingError(f"staging {path}: {error.strerror}; name another") from error
    if impossible:
        raise StagingError(
            f"staging {path}: not a file in an existing folder; name another with 'staging'"
        )
    if log and not there:
        raise StagingError(
            f"staging {path}: its log {log_of(path).name} is there without it; bring the file "
            "back, or remove the log"
        )
    return there


def _missing(path: Path) -> StagingError:
    return StagingError(f"staging {path}: there is no such file; 'kitepipe fetch' makes it")


def _beginning(api_root: str) -> Fill:
    def fill(database: Cursor) -> None:
        database.execute(load("staging_schema"))
        database.execute(
            "insert into setup values (?, ?, ?, ?)",
            [SCHEMA_VERSION, str(uuid.uuid4()), api_root, naive(utc_now())],
        )

    return fill


def _check_setup(path: Path, database: Cursor) -> tuple[str, str, datetime]:
    try:
        rows = database.execute(load("staging_select_setup")).fetchall()
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        raise StagingError(
            f"staging {path}: a DuckDB file, but not one of this kitepipe; name another with "
            "'staging'"
        ) from error
    except duckdb.Error as error:
        raise told(path, error) from error
    if len(rows) != 1:
        raise StagingError(f"staging {path}: its setup row is missing; the file is damaged")
    version, staging_id, api_root, created_at = rows[0]
    if version != SCHEMA_VERSION:
        raise StagingError(
            f"staging {path}: schema version {version}, and this kitepipe knows {SCHEMA_VERSION}; "
            "use the kitepipe that made it, or name another file with 'staging'"
        )
    return staging_id, api_root, created_at.replace(tzinfo=UTC)
