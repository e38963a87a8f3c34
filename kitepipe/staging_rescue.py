"""What can be read of a damaged staging file, in a new one: replies that are proven, and no others.

DuckDB tells a damaged block by its checksum. What was asked and answered must be readable whole;
bodies are taken row group by row group, by their places alone, and of a damaged one pack by pack.
A reply without its body is as if it was never fetched: the next fetch asks for its dates again.
"""

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path

import duckdb

from kitepipe.errors import StagingBusy, StagingError
from kitepipe.sql import load
from kitepipe.staging import Cursor, Staging
from kitepipe.staging_copy import Portion, copy, drafted, tables, told_of
from kitepipe.staging_errors import is_damage, is_the_files
from kitepipe.staging_open import PACK, ROW_GROUP, log_of
from kitepipe.staging_replies import SEAL_BYTES, seal_bodies


@dataclass(frozen=True, slots=True)
class Rescued:
    """How many replies were saved and how many lost; `log_lost`: what stood in the log too.

    Those in the archive are `archived`; they were not looked at.
    """

    replies: int
    lost: int
    archived: int
    log_lost: bool = False


def rescue(source: Path, target: Path, advance: Callable[[int], None]) -> Rescued:
    """Fill the new file `target` with what can be read of `source`, which is not written to.

    A log beside it that is damaged is read up to there. `advance` is told each percent. Raises
    StagingError where too much is damaged for anything to be told: then there is no `target`;
    StagingBusy where somebody writes it.
    """
    source = Path(os.path.realpath(source))
    try:
        return _rescue(source, target, advance)
    except StagingBusy:
        raise
    except StagingError as error:
        is_held = isinstance(error.__cause__, duckdb.ResourceInUseException)
        if is_held or not (source.exists() and log_of(source).exists()):
            raise
        log_bytes = _good_bytes(error)
    with _beside_log(source, target, log_bytes) as copy_of:
        try:
            saved = _rescue(copy_of, target, advance)
        except StagingError:
            if not log_bytes:
                raise
            log_of(copy_of).unlink()
            saved = _rescue(copy_of, target, advance)
    return replace(saved, log_lost=True)


def _good_bytes(error: StagingError) -> int:
    """Return up to where DuckDB could read a log."""
    found = re.search(r"at byte position (\d+)", str(error.__cause__))
    return int(found[1]) if found else 0


@contextlib.contextmanager
def _beside_log(source: Path, target: Path, log_bytes: int) -> Iterator[Path]:
    """Lend the file under another name, with the first bytes of its log beside it, or none."""
    name = target.with_name(target.name + ".source")  # DuckDB looks for a log beside it
    for left in (name, log_of(name)):
        left.unlink(missing_ok=True)
    try:
        try:
            os.link(source, name)
        except OSError:  # another disk
            shutil.copy(source, name)
        if log_bytes:
            with log_of(source).open("rb") as log:
                log_of(name).write_bytes(log.read(log_bytes))
        yield name
    finally:
        for made in (name, log_of(name)):
            made.unlink(missing_ok=True)


def _rescue(source: Path, target: Path, advance: Callable[[int], None]) -> Rescued:
    with _readable(source) as staging, drafted(staging, target) as cursor:
        bodies = []
        for table, holds_bodies in tables(cursor):
            if holds_bodies:
                bodies += [(table, place) for place in _places(cursor, table)]
            elif _runs(cursor, f"select sum(hash(t)) from staging.{table} as t"):
                copy(cursor, Portion(table, holds_bodies))
            else:
                raise _hopeless(source, f"table {table}")
        cursor.execute("create or replace temp table rescued (reply_id bigint, body varchar)")
        sealed_first = sorted(bodies, key=itemgetter(0), reverse=True)
        for table, place in told_of(sealed_first, advance):
            _read_bodies(cursor, table, place)
            ((held,),) = cursor.execute("select sum(strlen(body)) from rescued").fetchall()
            if held is not None and held >= SEAL_BYTES // 2:  # the next may be a whole seal
                seal_bodies(cursor, "rescued")
                cursor.execute("truncate rescued")
        cursor.execute("insert into body_open from rescued")
        lost = cursor.execute(load("staging_delete_lost")).fetchall()
        ((kept, archived),) = cursor.execute(
            "select (select count(*) from body), (select count(*) from archived_body)"
        ).fetchall()
        return Rescued(int(kept), len(lost), int(archived))


@contextlib.contextmanager
def _readable(source: Path) -> Iterator[Staging]:
    """Open the file; where that fails for its damage, a rescue is no advice any more."""
    try:
        staging = Staging.read(source)
    except StagingError as error:
        if is_damage(error.__cause__):
            raise _hopeless(source, "what stands first in it") from error
        raise
    with staging:
        yield staging


def _places(cursor: Cursor, table: str) -> range:
    """Return where row groups of a table begin: rows are counted without reading any."""
    ((last,),) = cursor.execute(f"select max(rowid) from staging.{table}").fetchall()
    return range(0, 0 if last is None else last + 1, ROW_GROUP)


def _read_bodies(cursor: Cursor, table: str, place: int) -> None:
    """Read the bodies of a row group, or of those of its packs that can be read."""
    statement = load("staging_insert_rescued")
    whole = statement.format(rows=f"staging.{table}")
    if not _runs(cursor, whole, first=place, last=place + ROW_GROUP - 1):
        for first in range(place, place + ROW_GROUP, PACK):
            _runs(cursor, whole, first=first, last=first + PACK - 1)


def _runs(cursor: Cursor, statement: str, **parameters: int) -> bool:
    """Run a statement; False where a block that it has to read is damaged."""
    try:
        cursor.execute(statement, parameters or None).fetchall()
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        if not is_the_files(error):
            raise
        return False
    return True


def _hopeless(source: Path, what: str) -> StagingError:
    return StagingError(
        f"staging {source}: {what} cannot be read, and without it nothing can be told of the "
        "replies; bring back a copy, or name another file with 'staging': fetch goes on from what "
        "the database has"
    )
