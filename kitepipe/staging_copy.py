"""A copy of a staging file: made by DuckDB table by table, proven, and on disk.

Tables of sealed bodies stay as they are; what was dropped leaves no room behind in the copy.
"""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb

from kitepipe.errors import StagingError
from kitepipe.sql import load
from kitepipe.staging import CONFIG, Cursor, flush, log_of
from kitepipe.staging_errors import translated


def copy_proven(source: Path, target: Path, advance: Callable[[int], None]) -> int:
    """Make `target`, and whatever was left there of another try, a copy of `source`.

    Every table has the same rows, and every body is what Kite sent. Returns how many bodies there
    are; `advance` is told how many of a hundred parts are done. Raises StagingError: then there is
    no `target`.
    """
    with drafted(source, target) as database:
        return _copy_tables(database, source, advance)


@contextlib.contextmanager
def drafted(source: Path, target: Path) -> Iterator[Cursor]:
    """Attach `source` (read-only) and `target`, with the same tables, for the block to fill.

    Then the target is on disk; where the block fails there is none.
    """
    discard(target)
    try:
        with duckdb.connect(":memory:", config=CONFIG | {"memory_limit": "512MB"}) as database:
            with translated(source):
                database.execute("attach ? as source (read_only)", [str(source)])
            with translated(target):
                database.execute("attach ? as target", [str(target)])
                database.execute("copy from database source to target (schema)")
                yield database
                database.execute("detach target")
        shutil.copymode(source, target)
        flush(target)
    except BaseException:
        discard(target)
        raise


def discard(target: Path) -> None:
    """Remove a copy that was not finished."""
    for file in (target, log_of(target)):
        file.unlink(missing_ok=True)


def _copy_tables(database: Cursor, source: Path, advance: Callable[[int], None]) -> int:
    rows = database.execute(load("staging_select_tables")).fetchall()
    bodies = done = 0
    for number, (table, is_body) in enumerate(rows, start=1):
        database.execute(f'insert into target."{table}" select * from source."{table}"')
        if is_body:
            bodies += _prove_bodies(database, source, table)
        else:
            _prove_rows(database, source, table)
        if 100 * number // len(rows) > done:
            advance(100 * number // len(rows) - done)
            done = 100 * number // len(rows)
    _prove_replies(database, source, bodies)
    return bodies


def _prove_bodies(database: Cursor, source: Path, table: str) -> int:
    statement = load("staging_check_bodies").format(table=table)
    staged, there, proven = database.execute(statement).fetchall()[0]
    if not staged == there == proven:
        raise _unproven(source, f"{staged - proven} of the {staged} bodies in {table}")
    return int(staged)


def _prove_rows(database: Cursor, source: Path, table: str) -> None:
    sums = (
        database.execute(f'select count(*), sum(hash(t)) from {of}."{table}" as t').fetchall()
        for of in ("source", "target")
    )
    if next(sums) != next(sums):
        raise _unproven(source, f"table {table}")


def _prove_replies(database: Cursor, source: Path, bodies: int) -> None:
    """Each reply has a body, here or in the archive."""
    elsewhere = 0
    if database.execute(load("staging_select_has_archive")).fetchall():
        elsewhere = _count(database, "archived_body")
    if missing := _count(database, "reply") - bodies - elsewhere:
        raise _unproven(source, f"the bodies of {missing} replies")


def _count(database: Cursor, table: str) -> int:
    ((rows,),) = database.execute(f"select count(*) from target.{table}").fetchall()
    return int(rows)


def _unproven(source: Path, what: str) -> StagingError:
    return StagingError(
        f"staging {source}: {what} cannot be proven: the file is damaged, or its disk is; bring "
        "back a copy of it with its .wal, or save what can be read with 'kitepipe staging rescue'. "
        "Nothing was changed"
    )
