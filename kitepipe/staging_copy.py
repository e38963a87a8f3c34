"""A copy of a staging file: made by DuckDB part by part, proven, and on disk.

Seals stay as they are; what was removed leaves no room behind in the copy.
"""

import contextlib
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

from kitepipe.errors import StagingError
from kitepipe.sql import load
from kitepipe.staging import CONFIG, Cursor, attach, beside, check_setup, flush, log_of
from kitepipe.staging_errors import translated


@dataclass(frozen=True, slots=True)
class Part:
    """What is copied at once: a table, or of sealed bodies a seal."""

    table: str
    holds_bodies: bool
    seal: int | None = None

    @property
    def rows(self) -> str:
        """Return what stands for it after `from source.`."""
        table = quoted(self.table)
        return table if self.seal is None else f"{table} where first_reply = {self.seal}"


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

    The target is in use. After the block it is on disk; where the block fails there is none.
    """
    discard(target)
    try:
        config = CONFIG | {"memory_limit": "512MB", "temp_directory": str(beside(target, ".tmp"))}
        with duckdb.connect(":memory:", config=config) as database:
            with translated(source):
                database.execute("attach ? as source (read_only)", [str(source)])
                database.execute("use source")
                check_setup(source, database)
            with translated(target):
                attach(database, target, "target")
                database.execute("copy from database source to target (schema)")
                yield database
                database.execute("use memory")
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


def parts(
    database: Cursor, seals: Iterable[int | None], advance: Callable[[int], None]
) -> Iterator[Part]:
    """Give one part of `source` after the other, replies first, for they prove bodies.

    `seals` are those to take one by one; None: all at once.
    """
    todo = []
    for table, holds_bodies in database.execute(load("staging_select_tables")).fetchall():
        if table == "body_sealed":
            todo += [Part(table, True, seal) for seal in seals]
        else:
            todo.append(Part(table, holds_bodies))
    done = 0
    for number, part in enumerate(todo, start=1):
        yield part
        if (hundredth := 100 * number // len(todo)) > done:
            advance(hundredth - done)
            done = hundredth


def _copy_tables(database: Cursor, source: Path, advance: Callable[[int], None]) -> int:
    bodies = 0
    with translated(source):
        rows = database.execute(load("staging_select_seals")).fetchall()
    for part in parts(database, [seal for (seal,) in rows], advance):
        copy(database, part)
        if part.holds_bodies:
            bodies += _prove_bodies(database, source, part)
        else:
            _prove_rows(database, source, part.rows)
    ((misplaced,),) = database.execute(load("staging_count_misplaced")).fetchall()
    if misplaced:
        raise _unproven(source, f"the bodies of {misplaced} replies")
    return bodies


def copy(database: Cursor, part: Part) -> None:
    """Copy the rows of a part from `source` into the file in use."""
    table = quoted(part.table)
    database.execute(f"insert into {table} select * from source.{part.rows}")


def quoted(name: str) -> str:
    """Return a table's name for a statement; a user may have made any."""
    return '"' + name.replace('"', '""') + '"'


def _prove_bodies(database: Cursor, source: Path, part: Part) -> int:
    statement = load("staging_check_bodies").format(part=part.rows)
    staged, there, proven = database.execute(statement).fetchall()[0]
    if not staged == there == proven:
        where = "in body_open" if part.seal is None else f"sealed from reply {part.seal} on"
        raise _unproven(source, f"{staged - proven} of the {staged} bodies {where}")
    return int(staged)


def _prove_rows(database: Cursor, source: Path, table: str) -> None:
    sums = (
        database.execute(f"select count(*), sum(hash(t)) from {of}.{table} as t").fetchall()
        for of in ("source", "target")
    )
    if next(sums) != next(sums):
        raise _unproven(source, f"table {table}")


def _unproven(source: Path, what: str) -> StagingError:
    return StagingError(
        f"staging {source}: {what} cannot be proven: the file is damaged, or its disk is; bring "
        "back a copy of it with its .wal, or save what can be read with 'kitepipe staging rescue'. "
        "Nothing was changed"
    )
