"""What can be read of a damaged staging file, in a new one: replies that are proven, and no others.

DuckDB tells a damaged block by its checksum. What was asked and answered must be readable whole;
bodies are taken seal by seal, and one by one where a seal has a damaged block. A reply without
its body is as if it was never fetched: the next fetch asks for its dates again.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from kitepipe.errors import StagingError
from kitepipe.sql import load
from kitepipe.staging import Cursor, log_of
from kitepipe.staging_copy import Part, copy, drafted, parts
from kitepipe.staging_errors import is_the_files
from kitepipe.staging_replies import SEAL_BYTES, seal_bodies


@dataclass(frozen=True, slots=True)
class Rescued:
    """How many replies were saved and how many lost; `log_lost`: what stood in the log too."""

    replies: int
    lost: int
    log_lost: bool = False


def rescue(source: Path, target: Path, advance: Callable[[int], None]) -> Rescued:
    """Fill the new file `target` with what can be read of `source`, which is not written to.

    Where the log beside it cannot be read, the file is taken as it was before. `advance` is told
    how many of a hundred parts are done. Raises StagingError where too much is damaged for anything
    to be told: then there is no `target`.
    """
    source = Path(os.path.realpath(source))
    try:
        return _rescue(source, target, advance)
    except StagingError:
        if not log_of(source).exists():
            raise
    without_log = target.with_name(target.name + ".source")  # DuckDB looks for a log beside it
    without_log.unlink(missing_ok=True)
    try:
        try:
            os.link(source, without_log)
        except OSError:  # another disk
            shutil.copy(source, without_log)
        saved = _rescue(without_log, target, advance)
    finally:
        without_log.unlink(missing_ok=True)
    return Rescued(saved.replies, saved.lost, log_lost=True)


def _rescue(source: Path, target: Path, advance: Callable[[int], None]) -> Rescued:
    with drafted(source, target) as database:
        rows = _read(database, load("staging_select_seals"))
        seals = [None] if rows is None else [int(seal) for (seal,) in rows]
        for part in parts(database, seals, advance):
            if not part.holds_bodies:
                if _read(database, f"select sum(hash(t)) from source.{part.rows} as t") is None:
                    raise StagingError(
                        f"staging {source}: table {part.table} cannot be read, and without it "
                        "nothing can be told of the replies; bring back a copy, or name another "
                        "file with 'staging': fetch goes on from what the database has"
                    )
                copy(database, part)
            elif _has_proof(database, f"source.{part.rows}"):
                copy(database, part)
            else:
                _copy_bodies(database, part)
        lost = database.execute(load("staging_delete_lost")).fetchall()
        ((kept,),) = database.execute("select count(*) from reply").fetchall()
        return Rescued(int(kept), len(lost))


def _copy_bodies(database: Cursor, part: Part) -> None:
    """Take the bodies of a damaged part one by one, those that are what Kite sent."""
    database.execute("create or replace temp table rescued (reply_id bigint, body varchar)")
    saved_bytes = 0
    for reply_id, size in _replies_of(database, part):
        body = f"(select * from source.{part.rows}) where reply_id = {reply_id}"
        if _has_proof(database, body):
            database.execute(f"insert into rescued select reply_id, body from {body}")
            saved_bytes += size
        if saved_bytes >= SEAL_BYTES:
            saved_bytes = 0
            seal_bodies(database, "rescued")
            database.execute("truncate rescued")
    if part.table == "body_open":
        database.execute("insert into body_open from rescued")
    else:
        seal_bodies(database, "rescued")


def _replies_of(database: Cursor, part: Part) -> list[tuple[int, int]]:
    """Return the replies that may have a body in a part, and the bytes of those bodies."""
    known = f"select reply_id from (select reply_id from source.{part.rows})"
    ids = _read(database, known)
    which = {"ids": None if ids is None else [reply_id for (reply_id,) in ids]}
    rows = database.execute(load("staging_select_rescuable"), which).fetchall()
    return [(int(reply_id), int(size)) for reply_id, size in rows]


def _has_proof(database: Cursor, rows: str) -> bool:
    """Tell whether bodies can be read, and each is, byte for byte, what its reply was."""
    counts = _read(database, load("staging_count_unproven").format(rows=rows))
    return counts is not None and counts[0][1] == 0


def _read(database: Cursor, query: str) -> list[tuple[Any, ...]] | None:
    """Return what a query gives; None where a block that it has to read is damaged."""
    try:
        return database.execute(query).fetchall()
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        if not is_the_files(error):
            raise
        return None
