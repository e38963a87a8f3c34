"""What can be read of a damaged staging file, in a new one: replies that are proven, and no others.

DuckDB tells a damaged block by its checksum. What was asked and answered must be readable whole;
bodies are taken table by table, and one by one where a table has a damaged block. A reply without
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
from kitepipe.staging_copy import drafted
from kitepipe.staging_errors import is_the_files


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
        _copy(database, source, advance)
        lost = _forget_lost(database)
        ((kept,),) = database.execute("select count(*) from target.reply").fetchall()
        return Rescued(int(kept), lost)


def _copy(database: Cursor, source: Path, advance: Callable[[int], None]) -> None:
    rows = database.execute(load("staging_select_tables")).fetchall()
    done = 0
    for number, (table, is_body) in enumerate(rows, start=1):
        if not _insert(database, table):
            if not is_body:
                raise StagingError(
                    f"staging {source}: table {table} cannot be read, and without it nothing can "
                    "be told of the replies; bring back a copy, or name another file with "
                    "'staging': fetch goes on from what the database has"
                )
            _copy_bodies(database, table)
        if (parts := 100 * number // len(rows)) > done:
            advance(parts - done)
            done = parts


def _copy_bodies(database: Cursor, table: str) -> None:
    """Take the bodies of a table one by one."""
    number = None if table == "body_open" else int(table.removeprefix("body_"))
    which = {"body_table": number}
    for (reply_id,) in database.execute(load("staging_select_sealed_replies"), which).fetchall():
        _insert(database, table, f"where reply_id = {int(reply_id)}")


def _insert(database: Cursor, table: str, where: str = "") -> bool:
    """Copy rows; False where a block that holds some of them is damaged."""
    if not _is_readable(database, table, where):
        return False
    database.execute(f'insert into target."{table}" select * from source."{table}" {where}')
    return True


def _is_readable(database: Cursor, table: str, where: str) -> bool:
    try:
        database.execute(f'select sum(hash(t)) from source."{table}" as t {where}').fetchall()
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        if not is_the_files(error):
            raise
        return False
    return True


def _forget_lost(database: Cursor) -> int:
    """Remove bodies that are not what Kite sent, then replies without a body; return how many."""
    database.execute("use target")
    rows = database.execute(load("staging_select_tables")).fetchall()
    tables = [table for table, is_body in rows if is_body]
    for table in tables:
        database.execute(load("staging_delete_unproven").format(table=table))
    has_archive = database.execute(load("staging_select_has_archive")).fetchall()
    kept = [f"select reply_id from {table}" for table in tables]
    kept += ["select reply_id from archived_body"] if has_archive else []
    lost = load("staging_delete_lost").format(kept=" union all ".join(kept))
    count = len(database.execute(lost).fetchall())
    database.execute("use memory")
    return count
