"""The DuckDB database behind a staging file: for one writer, or for all readers of this process.

Readers share it: where a process closes a file that it has open twice, the system lets go of both
locks, and a writer elsewhere would come in beside the other reader.
"""

import contextlib
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb

from kitepipe.errors import StagingBusy, StagingError
from kitepipe.staging_errors import ADVICE, told, translated
from kitepipe.staging_log import seems_cut
from kitepipe.staging_memory import PLANNING_MB, READING_MB, Memory

# A seal fills whole row groups, so that none is written twice: 16 packs of 2,048 rows, as
# staging_insert_sealed_bodies.sql makes them. DuckDB's own 122,880 rows would take 0.28 of the raw
# bytes instead of 0.26, for fillers.
PACK = 2048
ROW_GROUP = 16 * PACK

DRAFT = ".kitepipe-draft"  # a name that nobody gives to a file that is to stay

# A reader loads series side by side: each statement has one thread, and its rows keep their order.
PLANNING_THREADS = 2
_PLANNING = {"memory_limit": f"{PLANNING_MB}MB", "threads": str(PLANNING_THREADS)}
_READING = {"memory_limit": f"{READING_MB}MB", "threads": "1"}
_TO_THE_LAST_BYTE = {"debug_abort_on_wal_failure": "true"}  # a log that was cut short fails too
_CONFIG: dict[str, str | bool | int | float | list[str]] = {"autoinstall_known_extensions": False}

Cursor = duckdb.DuckDBPyConnection
Inode = tuple[int, int]  # and its device before it
Fill = Callable[[Cursor], None]  # puts into a new database what a staging file begins with


@dataclass(slots=True)
class Opened:
    """A database in which the file is attached as `staging`, its memory, and how many use it."""

    database: Cursor
    memory: Memory
    path: Path  # the file itself, whatever link or folder led to it
    inode: Inode
    users: int = 1
    is_attached: bool = True

    def reattach(self) -> bool:
        """Let the file go and take it again, for writing; False where its name is not its own now.

        Raises StagingBusy where somebody came in between, StagingError. It is not attached then,
        until a further call takes it.
        """
        if self.is_attached and not self._has_its_name():
            return False
        with self.database.cursor() as cursor:
            try:
                cursor.execute("use memory")  # what is used cannot be detached
                self.is_attached = False
                cursor.execute("detach database if exists staging")
                self._take(cursor)
            except StagingBusy:
                raise
            except BaseException:  # who is interrupted has replies to commit first
                with contextlib.suppress(StagingError):
                    self._take(cursor)
                raise
        return True

    def _take(self, cursor: Cursor) -> None:
        _attach(cursor, self.path, _for_writing(), verb="attach if not exists")
        if not self._has_its_name():
            raise StagingError(f"staging {self.path}: it was moved or replaced amid a fetch")
        self.is_attached = True

    def _has_its_name(self) -> bool:
        try:
            return _inode(self.path) == self.inode
        except OSError:
            return False

    def close(self) -> None:
        """Close it for one user; the last one closes the file."""
        with _OPENING:
            self.users -= 1
            if self.users == 0:
                if _READERS.get(self.inode) is self:
                    del _READERS[self.inode]
                self.database.close()


_OPENING = threading.Lock()
_READERS: dict[Inode, Opened] = {}  # a name may get another file


def opened(path: Path, *, read_only: bool, fill: Fill | None = None) -> Opened:
    """Open a staging file, made first where `fill` is given. Raises StagingBusy, StagingError."""
    if not read_only:
        database = _attached_whole(path, _for_writing(), _PLANNING, fill)
        place = Path(os.path.realpath(path))
        return Opened(database, Memory(database, PLANNING_MB), place, _inode(place))
    with _OPENING:
        try:
            place = Path(os.path.realpath(path))
            inode = _inode(place)
        except OSError as error:
            raise StagingError(f"staging {path}: {error.strerror}; {ADVICE}") from error
        if inode in _READERS:
            _READERS[inode].users += 1
        else:
            database = _attached_whole(path, "read_only", _READING)
            _READERS[inode] = Opened(database, Memory(database, READING_MB), place, inode)
        return _READERS[inode]


def attach_new(database: Cursor, path: Path, name: str) -> None:
    """Make a new file in a database under a name, and use it."""
    _attach(database, path, _for_writing(), name)
    database.execute(f"use {name}")


def draft_of(path: Path) -> Path:
    """Return the place where a file is made until it is whole; what is there was left by a kill."""
    return beside(path, DRAFT)


def give_name(draft: Path, target: Path) -> None:
    """Give a file that is whole its name; FileExistsError where something has it."""
    try:
        os.link(draft, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without second names
        draft.rename(target)
    draft.unlink(missing_ok=True)


def beside(path: Path, ending: str) -> Path:
    """Return a file beside the staging file itself, whatever link leads to that."""
    return Path(os.path.realpath(path) + ending)


def log_of(path: Path) -> Path:
    """Return the place of DuckDB's log of a staging file."""
    return beside(path, ".wal")


def _attached_whole(
    path: Path, options: str, config: dict[str, str], fill: Fill | None = None
) -> Cursor:
    """Attach; StagingError where commits of the log would be left out."""
    if seems_cut(log_of(path)):
        try:
            return _attached(path, options, config | _TO_THE_LAST_BYTE)
        except StagingBusy:
            raise
        except StagingError:
            if seems_cut(log_of(path)):
                raise
    return _attached(path, options, config, fill)


def _attached(path: Path, options: str, config: dict[str, str], fill: Fill | None = None) -> Cursor:
    """Attach: the size of row groups can be told nowhere else, and no file keeps it."""
    spill = {"temp_directory": str(beside(path, ".tmp"))}
    database = duckdb.connect(":memory:", config=_CONFIG | config | spill)
    try:
        if fill:
            _make(database, path, fill)
        _attach(database, path, options)
        database.execute("use staging")
    except BaseException:
        database.close()
        raise
    return database


def _for_writing() -> str:
    return f"row_group_size {ROW_GROUP}"


def _attach(
    cursor: Cursor, path: Path, options: str, name: str = "staging", verb: str = "attach"
) -> None:
    try:
        place = os.path.realpath(path)
        cursor.execute(f"{verb} ? as {name} (type duckdb, {options})", [place])
    except duckdb.Error as error:
        raise told(path, error) from error


def _inode(path: Path) -> Inode:
    found = path.stat()
    return found.st_dev, found.st_ino


def _make(database: Cursor, path: Path, fill: Fill) -> None:
    """Make the file under another name first: killed at any instant, none is left half made."""
    try:
        target = path.resolve()
        draft = draft_of(target)
        draft.unlink(missing_ok=True)
        attach_new(database, draft, "staging")
        with translated(path):
            fill(database)
            database.execute("use memory")
            database.execute("detach staging")
        with contextlib.suppress(FileExistsError):  # somebody else has made it
            give_name(draft, target)
        draft.unlink(missing_ok=True)
    except OSError as error:
        raise StagingError(f"staging {path}: {error.strerror}; {ADVICE}") from error
