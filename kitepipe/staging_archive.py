"""Which bodies may go to the archive, and the step in which files take the place of tables."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kitepipe.sql import load
from kitepipe.staging import ARCHIVING, Cursor, Staging, transaction
from kitepipe.staging_errors import translated
from kitepipe.staging_parquet import write_archive
from kitepipe.staging_replies import SEAL_BYTES, select_bodies
from kitepipe.staging_seals import show_bodies, vacant_table

# Raw bytes that go into one file: 64 minute replies, 12 MB of Parquet. That takes 405 MB of memory,
# one sealed table (16 MB) 302, at 25 to 50 MB a second.
_FILE_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Batch:
    """What goes into one file: replies of sealed tables that follow each other."""

    tables: tuple[int, ...]
    reply_ids: tuple[int, ...]
    bytes: int


@dataclass(frozen=True, slots=True)
class Room:
    """The staging file from inside: bytes in use and free, and the bytes of the bodies in it."""

    used: int
    free: int
    bodies: int


def archivable(cursor: Cursor, loaded: Mapping[str, object]) -> list[Batch]:
    """Return what of the replies in `loaded` ({"reply_id": int64 array}) may go, file by file.

    The reply of each series that the next fetch compares with stays, and what is not sealed yet.
    """
    cursor.register("loaded_reply", dict(loaded))
    try:
        rows = cursor.execute(load("staging_select_archivable")).fetchall()
    finally:
        cursor.unregister("loaded_reply")
    return list(_batches(rows))


def _batches(rows: Sequence[tuple[int, list[int], int, int]]) -> Iterator[Batch]:
    """A table of which nothing goes stands between two files: see `_replace_tables`."""
    tables: list[int] = []
    ids: list[int] = []
    size = kept = 0
    for table, movable, count, rest in [*rows, (0, [], 0, 0)]:
        is_full = size + count > _FILE_BYTES or kept + rest > SEAL_BYTES
        if tables and (not movable or is_full):
            yield Batch(tuple(tables), tuple(ids), size)
            tables, ids, size, kept = [], [], 0, 0
        if movable:
            tables.append(table)
            ids += movable
            size += count
            kept += rest


def archive_batch(staging: Staging, cursor: Cursor, batch: Batch, folder: Path) -> int:
    """Move bodies into a file of `folder`, and return its size.

    The file is proven and on disk before the one transaction that registers it and drops the
    tables: killed at any instant, each body is in the one place or in the other.
    """
    with translated(staging.path):
        select_bodies(cursor, batch.reply_ids)
        path = write_archive(cursor, folder, staging.staging_id, batch.reply_ids)
        parameters = {"name": path.name, "ids": list(batch.reply_ids)}
        size = path.stat().st_size
        with transaction(cursor):
            (version,) = cursor.execute("select schema_version from setup").fetchall()[0]
            if version < ARCHIVING:
                cursor.execute(load("staging_archive_schema"))
            cursor.execute(load("staging_insert_archive_file"), parameters | {"file_bytes": size})
            cursor.execute(load("staging_insert_archived_bodies"), parameters)
            _replace_tables(cursor, batch)
        cursor.execute("checkpoint")
    return size


def _replace_tables(cursor: Cursor, batch: Batch) -> None:
    """Drop the batch's tables; what stays of them moves together into another one.

    As they follow each other, no other table's range of replies meets that of the new one.
    """
    kept = vacant_table(cursor)
    move = load("staging_insert_sealed_bodies")
    for table in batch.tables:
        names = {"table": f"body_{kept}", "source": f"body_{int(table)}"}
        cursor.execute(move.format(**names), {"but": list(batch.reply_ids)})
        cursor.execute(f"drop table body_{int(table)}")
    cursor.execute("delete from seal where body_table in (select unnest(?))", [list(batch.tables)])
    cursor.execute(
        f"insert into seal select {kept}, min(reply_id), max(reply_id) from body_{kept} "
        "having count(reply_id) > 0"
    )
    show_bodies(cursor)


def room(cursor: Cursor) -> Room:
    """Return how the staging file is filled."""
    (row,) = cursor.execute(load("staging_select_room")).fetchall()
    return Room(*map(int, row))
