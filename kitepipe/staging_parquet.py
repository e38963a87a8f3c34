"""Archived bodies: Parquet files in a folder, each known to the staging file by its name alone.

Nothing is believed of a file that is not proven by the hash of the reply.
"""

import glob
import hashlib
from collections.abc import Sequence
from pathlib import Path

import duckdb

from kitepipe.errors import ArchiveOutOfReach, StagingError
from kitepipe.sql import load
from kitepipe.staging import Cursor, flush


def read_archived(cursor: Cursor, reply_ids: Sequence[int]) -> set[int]:
    """Add to the temp table `staged_body` what of these replies is archived; return which it was.

    Raises ArchiveOutOfReach where a file is missing, cannot be read, or holds something else.
    """
    ((folder,),) = cursor.execute("select getvariable('archive_folder')").fetchall()
    read: set[int] = set()
    for name, ids in _files(cursor, reply_ids):
        path = Path(folder) / name
        if not path.exists():
            raise _out_of_reach(path, "it is not there")
        try:
            found = _run(cursor, "staging_read_archive", path, ids=ids)
        except duckdb.OutOfMemoryException:
            raise
        except duckdb.Error as error:
            cursor.execute("rollback")  # what follows ends the caller's transaction all the same
            cursor.execute("select max(sha256) from reply")  # fails where staging is to blame
            raise _out_of_reach(path, str(error).splitlines()[0]) from error
        if found != (len(ids),):
            raise _out_of_reach(path, "it does not hold what was archived")
        read.update(ids)
    return read


def write_archive(cursor: Cursor, folder: Path, staging_id: str, reply_ids: Sequence[int]) -> Path:
    """Write the bodies in `staged_body` into a file of the folder, and prove what is on disk.

    Its name tells what it holds: one that is there already holds the same, and is written anew.
    """
    digest = hashlib.sha256(repr(sorted(reply_ids)).encode()).hexdigest()[:12]
    path = folder / f"{staging_id}-{min(reply_ids)}-{max(reply_ids)}-{digest}.parquet"
    draft = path.with_name(path.name + ".new")
    try:
        cursor.execute(
            load("staging_write_archive"), {"staging_id": staging_id, "path": str(draft)}
        )
        flush(draft)
        if _run(cursor, "staging_check_archive", draft) != (len(reply_ids),) * 2:
            raise StagingError(
                f"archive {draft}: what is read back is not what Kite sent; look at both disks. "
                "Nothing was removed from staging"
            )
        draft.rename(path)
        flush(folder)
    finally:
        draft.unlink(missing_ok=True)
    return path


def _files(cursor: Cursor, reply_ids: Sequence[int]) -> list[tuple[str, list[int]]]:
    return cursor.execute(load("staging_select_archive_files"), {"ids": list(reply_ids)}).fetchall()


def _run(cursor: Cursor, statement: str, path: Path, **more: object) -> tuple[int, ...]:
    """Run a statement over a Parquet file, whatever characters its folder's name has."""
    parameters = {"path": glob.escape(str(path)), **more}
    (row,) = cursor.execute(load(statement), parameters).fetchall()
    return tuple(row)


def _out_of_reach(path: Path, why: str) -> ArchiveOutOfReach:
    return ArchiveOutOfReach(
        f"archive {path}: {why}; bring the file back, or name its folder with 'archive'"
    )
