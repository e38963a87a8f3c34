"""DuckDB's errors about the staging file become ours here; those about a statement are bugs."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import duckdb

from kitepipe.errors import StagingBusy, StagingError

ADVICE = "see that it and its folder can be read and written"
_NO_ROOM = ("No space left on device", "Disk quota exceeded", "File too large")
_BROKEN = ("read enough bytes", "may be corrupt", "Failed to read WAL", "marked as encrypted")
_DAMAGED = (duckdb.FatalException, duckdb.InternalException, duckdb.SerializationException)


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn DuckDB's errors about the file into ours; those about a statement are bugs and stay."""
    try:
        yield
    except duckdb.Error as error:
        if not is_the_files(error):
            raise
        raise told(path, error) from error


def is_the_files(error: duckdb.Error) -> bool:
    """Tell whether the file or the machine is to blame, and not a statement.

    A wrong checksum comes as a bare `Error`, a full disk in a commit as TransactionException.
    """
    return is_damage(error) or isinstance(error, duckdb.OperationalError)


def is_damage(error: BaseException | None) -> bool:
    """Tell whether it says that bytes of the file are not what DuckDB has written."""
    return (
        type(error) is duckdb.Error
        or isinstance(error, _DAMAGED)
        or any(words in str(error) for words in _BROKEN)
    )


def told(path: Path, error: duckdb.Error) -> StagingError:
    """Say what DuckDB found: it has few classes for all that can go wrong, its text tells more."""
    text = str(error)
    if "Could not set lock" in text:
        holder = re.search(r"\(PID (\d+)\)", text)
        who = f"process {holder[1]}" if holder else "another process"
        return StagingBusy(
            f"staging {path}: held by {who}; wait for it, or use --wait where the command has it"
        )
    if isinstance(error, duckdb.ResourceInUseException):  # to wait for it may be to wait for ever
        return StagingError(f"staging {path}: held by this very process; close it first")
    if "not a valid DuckDB database file" in text:
        return StagingError(f"staging {path}: not a DuckDB file; name another with 'staging'")
    line = str(error).splitlines()[0]
    if text.rstrip().endswith(_NO_ROOM) or "failed to offload" in text:
        return StagingError(f"staging {path}: no room left on its disk: {line}; make some")
    if isinstance(error, duckdb.OutOfMemoryException):
        return StagingError(f"staging {path}: out of memory: {line}; leave it more")
    if "WAL does not match" in text or "does not match the database file" in text:
        return StagingError(
            f"staging {path}: {path}.wal is another file's log, or that of another copy of this "
            "one; bring back the file that it goes with, or move it away"
        )
    if is_damage(error):
        return StagingError(
            f"staging {path}: the file is damaged: {line}; bring back a copy of it with its .wal, "
            "or save what can be read with 'kitepipe staging rescue NEW_FILE'"
        )
    return StagingError(f"staging {path}: {line}; {ADVICE}")
