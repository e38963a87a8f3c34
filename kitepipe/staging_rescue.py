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

import duckdb

from kitepipe.errors import StagingError
from kitepipe.sql import load
from kitepipe.staging import Cursor, log_of
from kitepipe.staging_copy import Part, drafted, parts
from kitepipe.staging_errors import is_the_files
from kitepipe.staging_replies import seal_bodies


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
        for part in parts(database, advance):
            if part.holds_bodies:
                if not _has_proof(database, f"source.{part.rows}"):
                    _copy_bodies(database, part)
                    continue
            elif _read(database, f"select sum(hash(t)) from source.{part.table} as t") is None:
                raise StagingError(
                    f"staging {source}: table {part.table} cannot be read, and without it nothing "
                    "can be told of the replies; bring back a copy, or name another file with "
                    "'staging': fetch goes on from what the database has"
                )
            database.execute(f"insert into {part.table} select * from source.{part.rows}")
        lost = database.execute(load("staging_delete_lost")).fetchall()
        ((kept,),) = database.execute("select count(*) from reply").fetchall()
        return Rescued(int(kept), len(lost))


def _copy_bodies(database: Cursor, part: Part) -> None:
    """Take the bodies of a damaged part one by one, those that are what Kite sent."""
    database.execute("create or replace temp table rescued (reply_id bigint, body varchar)")
    which = {"first_reply": part.seal}
    for (reply_id,) in database.execute(load("staging_select_sealed_replies"), which).fetchall():
        body = f"source.{part.table} where reply_id = {int(reply_id)}"
        if _has_proof(database, body):
            database.execute(f"insert into rescued select reply_id, body from {body}")
    if part.seal is None:
        database.execute("insert into body_open from rescued")
    else:
        seal_bodies(database, "rescued")


def _has_proof(database: Cursor, rows: str) -> bool:
    """Tell whether bodies can be read, and each is, byte for byte, what its reply was."""
    return _read(database, load("staging_count_unproven").format(rows=rows)) == [(0,)]


def _read(database: Cursor, query: str) -> list[tuple[object, ...]] | None:
    """Return what a query gives; None where a block that it has to read is damaged."""
    try:
        return database.execute(query).fetchall()
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        if not is_the_files(error):
            raise
        return None
