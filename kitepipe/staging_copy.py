"""A copy of a staging file: made by DuckDB part by part, proven, and on disk.

Seals stay as they are; what was removed leaves no room behind in the copy.
"""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

from kitepipe.errors import StagingError
from kitepipe.sql import load
from kitepipe.staging import CONFIG, Cursor, attach, flush, log_of
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
        return self.table if self.seal is None else f"{self.table} where first_reply = {self.seal}"


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
        with duckdb.connect(":memory:", config=CONFIG | {"memory_limit": "512MB"}) as database:
            with translated(source):
                attach(database, source, "source", read_only=True)
            with translated(target):
                attach(database, target, "target")
                database.execute("copy from database source to target (schema)")
                database.execute("use target")
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


def parts(database: Cursor, advance: Callable[[int], None]) -> Iterator[Part]:
    """Give one part of `source` after the other, replies first, for they prove bodies."""
    todo = []
    for table, holds_bodies in database.execute(load("staging_select_tables")).fetchall():
        if table == "body_sealed":
            seals = "select distinct first_reply from source.body_sealed order by first_reply"
            todo += [Part(table, True, seal) for (seal,) in database.execute(seals).fetchall()]
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
    for part in parts(database, advance):
        database.execute(f"insert into {part.table} select * from source.{part.rows}")
        if part.holds_bodies:
            bodies += _prove_bodies(database, source, part)
        else:
            _prove_rows(database, source, part.table)
    _prove_replies(database, source, bodies)
    return bodies


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


def _prove_replies(database: Cursor, source: Path, bodies: int) -> None:
    """Each reply has a body, here or in the archive."""
    if missing := _count(database, "reply") - bodies - _count(database, "archived_body"):
        raise _unproven(source, f"the bodies of {missing} replies")


def _count(database: Cursor, table: str) -> int:
    ((rows,),) = database.execute(f"select count(*) from {table}").fetchall()
    return int(rows)


def _unproven(source: Path, what: str) -> StagingError:
    return StagingError(
        f"staging {source}: {what} cannot be proven: the file is damaged, or its disk is; bring "
        "back a copy of it with its .wal, or save what can be read with 'kitepipe staging rescue'. "
        "Nothing was changed"
    )
