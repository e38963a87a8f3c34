"""A copy of a staging file: made by DuckDB portion by portion, proven, and on disk.

Seals stay as they are; what was removed leaves no room behind in the copy.
"""

import contextlib
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import duckdb

from kitepipe.errors import StagingError
from kitepipe.sql import load
from kitepipe.staging import Cursor, Staging, flush
from kitepipe.staging_errors import is_damage, is_the_files, told
from kitepipe.staging_memory import COPYING_MB
from kitepipe.staging_open import attach_new, log_of

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Portion:
    """What is copied at once: a table, by its name in a statement, or of sealed bodies a seal."""

    table: str
    holds_bodies: bool
    seal: int | None = None

    @property
    def rows(self) -> str:
        """Return what stands for it after `from`."""
        return self.table if self.seal is None else f"{self.table} where first_reply = {self.seal}"


def copy_proven(staging: Staging, target: Path, advance: Callable[[int], None]) -> int:
    """Make `target`, and whatever was left there of another try, a copy of a file that is open.

    Every table has the same rows, and every body is what Kite sent. Returns how many bodies there
    are; `advance` is told each percent. Raises StagingError: then there is no `target`.
    """
    with drafted(staging, target) as cursor:
        bodies = 0
        for portion in told_of(_portions(cursor), advance):
            copy(cursor, portion)
            if portion.holds_bodies:
                bodies += _prove_bodies(cursor, staging.path, portion)
            else:
                _prove_rows(cursor, staging.path, portion.table)
        ((misplaced,),) = cursor.execute(load("staging_count_misplaced")).fetchall()
        if misplaced:
            raise _unproven(staging.path, f"the bodies of {misplaced} replies")
        return bodies


@contextlib.contextmanager
def drafted(staging: Staging, target: Path) -> Iterator[Cursor]:
    """Make `target` with the same tables, for the block to fill by a cursor that uses it.

    What is copied is `staging.<table>` there. After the block the target is on disk; where the
    block fails there is none.
    """
    discard(target)
    try:
        with (
            staging.memory.based(COPYING_MB),
            _translated(staging.path, target),
            staging.cursor() as cursor,
            _attached(cursor, target) as name,
        ):
            cursor.execute(f"copy from database staging to {name} (schema)")
            yield cursor
        shutil.copymode(staging.path, target)
        flush(target)
    except BaseException:
        discard(target)
        raise


def discard(target: Path) -> None:
    """Remove a copy that was not finished."""
    for file in (target, log_of(target)):
        file.unlink(missing_ok=True)


def tables(cursor: Cursor) -> list[tuple[str, bool]]:
    """Return the tables of the file, replies first, and whether each holds bodies."""
    return cursor.execute(load("staging_select_tables")).fetchall()


def copy(cursor: Cursor, portion: Portion) -> None:
    """Copy rows of the staging file into the file in use."""
    cursor.execute(f"insert into {portion.table} select * from staging.{portion.rows}")


def told_of(items: Sequence[T], advance: Callable[[int], None]) -> Iterator[T]:
    """Yield `items`; `advance` is told each percent that is done."""
    done = 0
    for number, item in enumerate(items, start=1):
        yield item
        if (percent := 100 * number // len(items)) > done:
            advance(percent - done)
            done = percent


def _portions(cursor: Cursor) -> list[Portion]:
    portions = []
    for table, holds_bodies in tables(cursor):
        if holds_bodies and "sealed" in table:
            seals = cursor.execute(load("staging_select_seals")).fetchall()
            portions += [Portion(table, True, seal) for (seal,) in seals]
        else:
            portions.append(Portion(table, holds_bodies))
    return portions


@contextlib.contextmanager
def _attached(cursor: Cursor, target: Path) -> Iterator[str]:
    """Have the target attached, and used, under a name that no other copy has."""
    name = f"draft_{secrets.token_hex(4)}"
    attach_new(cursor, target, name)
    try:
        yield name
    except BaseException:
        with contextlib.suppress(duckdb.Error):
            _detach(cursor, name)
        raise
    _detach(cursor, name)


def _detach(cursor: Cursor, name: str) -> None:
    cursor.execute("use staging")
    cursor.execute(f"detach {name}")


@contextlib.contextmanager
def _translated(source: Path, target: Path) -> Iterator[None]:
    """Turn DuckDB's errors into ours: only the one can be damaged, the other out of room."""
    try:
        yield
    except duckdb.Error as error:
        if not is_the_files(error):
            raise
        raise told(source if is_damage(error) else target, error) from error


def _prove_bodies(cursor: Cursor, source: Path, portion: Portion) -> int:
    statement = load("staging_check_bodies").format(rows=portion.rows)
    staged, there, proven = cursor.execute(statement).fetchall()[0]
    if not staged == there == proven:
        where = "in body_open" if portion.seal is None else f"sealed from reply {portion.seal} on"
        raise _unproven(source, f"{staged - proven} of the {staged} bodies {where}")
    return int(staged)


def _prove_rows(cursor: Cursor, source: Path, table: str) -> None:
    sums = (
        cursor.execute(f"select count(*), sum(hash(t)) from {of} as t").fetchall()
        for of in (f"staging.{table}", table)
    )
    if next(sums) != next(sums):
        raise _unproven(source, f"table {table}")


def _unproven(source: Path, what: str) -> StagingError:
    return StagingError(
        f"staging {source}: {what} cannot be proven: the file is damaged, or its disk is; bring "
        "back a copy of it with its .wal, or save what can be read with 'kitepipe staging rescue "
        "NEW_FILE'. Nothing was changed"
    )
