"""Which bodies may go to the archive, and the step in which files take the place of seals."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kitepipe.errors import StagingError
from kitepipe.sql import load
from kitepipe.staging import Cursor, Staging, transaction
from kitepipe.staging_errors import translated
from kitepipe.staging_parquet import write_archive
from kitepipe.staging_replies import SEAL_BYTES, seal_bodies, select_bodies

# Raw bytes that go into one file: 64 minute replies, 12 MB of Parquet. That takes 420 MB of memory,
# one seal (16 MB) 250, at 45 MB a second and more.
_FILE_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Batch:
    """What goes into one file: replies of some seals, oldest first; and what stays of these."""

    seals: tuple[int, ...]
    reply_ids: tuple[int, ...]
    bytes: int
    rest: tuple[int, ...]


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


def _batches(rows: Sequence[tuple[int, list[int], int, list[int], int]]) -> Iterator[Batch]:
    """Fill one file after the other; what stays of its seals is one seal."""
    seals: list[int] = []
    ids: list[int] = []
    rest: list[int] = []
    size = rest_size = 0
    for seal, movable, count, kept, kept_size in rows:
        if seals and (size + count > _FILE_BYTES or rest_size + kept_size > SEAL_BYTES):
            yield Batch(tuple(seals), tuple(ids), size, tuple(rest))
            seals, ids, rest, size, rest_size = [], [], [], 0, 0
        seals.append(seal)
        ids += movable
        rest += kept
        size += count
        rest_size += kept_size
    if seals:
        yield Batch(tuple(seals), tuple(ids), size, tuple(rest))


def archive_batch(staging: Staging, cursor: Cursor, batch: Batch, folder: Path) -> int:
    """Move bodies into a file of `folder`, and return its size.

    The file is proven and on disk before the one transaction that registers it and removes the
    bodies: killed at any instant, each is in the one place or in the other.
    """
    with translated(staging.path):
        select_bodies(cursor, batch.reply_ids)
        path = write_archive(cursor, folder, staging.staging_id, batch.reply_ids)
        parameters = {"name": path.name, "ids": list(batch.reply_ids)}
        size = path.stat().st_size
        select_bodies(cursor, batch.rest)
        with transaction(cursor):
            _prove_rest(cursor, staging.path, len(batch.rest))
            cursor.execute(load("staging_insert_archive_file"), parameters | {"file_bytes": size})
            cursor.execute(load("staging_insert_archived_bodies"), parameters)
            _replace_seals(cursor, batch.seals)
        cursor.execute("checkpoint")
    return size


def _prove_rest(cursor: Cursor, path: Path, bodies: int) -> None:
    if cursor.execute(load("staging_count_unproven")).fetchall() != [(bodies, 0)]:
        raise StagingError(
            f"staging {path}: what is read of it is not what Kite sent; save what can be read with "
            "'kitepipe staging rescue NEW_FILE'. Nothing was removed"
        )


def _replace_seals(cursor: Cursor, seals: Sequence[int]) -> None:
    """Remove whole seals, so that their row groups are free; what stays is in `staged_body`."""
    cursor.execute("delete from body_sealed where first_reply in (select unnest(?))", [list(seals)])
    seal_bodies(cursor, "staged_body")


def room(cursor: Cursor) -> Room:
    """Return how the staging file is filled."""
    (row,) = cursor.execute(load("staging_select_room")).fetchall()
    return Room(*map(int, row))
