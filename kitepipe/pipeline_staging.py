"""What is done to the staging file itself: `archive`, `staging compact`, `backup`, `rescue`."""

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from kitepipe.config import Settings
from kitepipe.doors import warehouse_dsn
from kitepipe.errors import StagingError, UsageError
from kitepipe.holder import alone, reading, unopened, writing
from kitepipe.progress import Progress
from kitepipe.staging import Cursor, Staging, flush
from kitepipe.staging_archive import Batch, archivable, archive_batch, room
from kitepipe.staging_copy import copy_proven
from kitepipe.staging_errors import ADVICE
from kitepipe.staging_open import DRAFT, draft_of, give_name, log_of
from kitepipe.staging_rescue import rescue as rescued
from kitepipe.summary import Failure
from kitepipe.summary_files import ArchiveReport, CopyReport
from kitepipe.warehouse import DatabaseManager

# What zstd at level 9 leaves of synthetic minute replies.
_RATIO = 0.195
_NOTHING = (
    "nothing to move: not before 16 MB of replies are sealed together and loaded, and of each "
    "series the reply stays with which the next fetch compares"
)

_IN_ITS_PLACE = (
    "to go on with the new file, move the old one and its .wal away, then name the new one with "
    "'staging', or give it the old one's name"
)


def archive(
    settings: Settings, progress: Progress, *, dry_run: bool = False, wait: bool = False
) -> ArchiveReport:
    """Move the bodies of loaded replies into files of the archive's folder.

    Loaded is what the warehouse's ledger knows. What a killed run has moved is moved; the next
    goes on. With `dry_run` nothing is moved, and the figures are estimates.
    """
    path, started = settings.staging, time.monotonic()
    if dry_run:
        with (
            reading(path, wait=wait, archive=settings.archive) as staging,
            staging.cursor() as cursor,
        ):
            return _estimate(settings, cursor, _batches(settings, staging, cursor))
    with (
        writing(path, None, "archive", wait=wait, archive=settings.archive) as (staging, beat),
        staging.cursor() as cursor,
    ):
        batches = _batches(settings, staging, cursor)
        before, file_bytes = room(cursor).free, 0
        if batches:
            _make(settings.archive, staging.staging_id)
        with progress.meter("archive", len(batches), "files") as meter:
            for number, batch in enumerate(batches, start=1):
                file_bytes += archive_batch(staging, cursor, batch, settings.archive)
                beat(number, len(batches), 0)
                meter.advance(1, f"{len(batch.reply_ids)} replies")
        report = _told(settings, batches, file_bytes, room(cursor).free - before)
        return replace(report, seconds=time.monotonic() - started)


def _batches(settings: Settings, staging: Staging, cursor: Cursor) -> list[Batch]:
    with warehouse_dsn(settings) as dsn, DatabaseManager(dsn) as warehouse:
        warehouse.check_schema()
        loaded = warehouse.ledger_reply_ids(staging.staging_id)
    return archivable(cursor, {"reply_id": loaded})


def _estimate(settings: Settings, cursor: Cursor, batches: list[Batch]) -> ArchiveReport:
    """What a body takes in the staging file is what those in it take on the average."""
    inside, moved = room(cursor), sum(batch.bytes for batch in batches)
    freed = moved * inside.used // max(inside.bodies, 1)
    report = _told(settings, batches, round(moved * _RATIO), freed)
    said = [*report.warnings, "--dry-run: nothing was moved, sizes are estimates"]
    return replace(report, moved=False, warnings=said)


def _told(settings: Settings, batches: list[Batch], file_bytes: int, freed: int) -> ArchiveReport:
    return ArchiveReport(
        archive=str(settings.archive),
        replies=sum(len(batch.reply_ids) for batch in batches),
        bytes=sum(batch.bytes for batch in batches),
        files=len(batches),
        file_bytes=file_bytes,
        freed=freed,
        disk_free=_disk_free(settings.archive),
        warnings=[] if batches else [_NOTHING],
    )


def _disk_free(folder: Path) -> int:
    there = next(
        place for place in (folder.absolute(), *folder.absolute().parents) if place.exists()
    )
    return shutil.disk_usage(there).free


def _make(folder: Path, staging_id: str) -> None:
    """Make the folder, and remove what a killed run of this staging file has left half written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for draft in folder.glob(f"{staging_id}-*.parquet.new"):
            draft.unlink()
    except OSError as error:
        raise StagingError(
            f"archive {folder}: {error.strerror}; name another folder with 'archive'"
        ) from error


def compact(settings: Settings, progress: Progress, *, wait: bool = False) -> CopyReport:
    """Put a proven copy without unused room in the staging file's place.

    Killed at any instant, the one or the other is there, whole.
    """
    path, started = settings.staging.resolve(), time.monotonic()
    draft = draft_of(path)
    with alone(path, "compact", wait=wait):
        if log_of(path).exists():
            raise StagingError(f"staging {path}: its log cannot be written into it; {ADVICE}")
        before = path.stat().st_size
        with Staging.read(path) as staging:
            replies = _copied(staging, draft, "compact", progress)
        draft.replace(path)
        flush(path.parent)
    after = path.stat().st_size
    return CopyReport(str(path), before, after, replies, seconds=time.monotonic() - started)


def backup(
    settings: Settings, target: Path, progress: Progress, *, wait: bool = False
) -> CopyReport:
    """Make a proven copy of the staging file in `target`, which must not be there yet."""
    path, started = settings.staging, time.monotonic()
    with reading(path, wait=wait) as staging, _new_file(path, target, "backup") as draft:
        before = staging.file_bytes()
        replies = _copied(staging, draft, "backup", progress)
        with staging.cursor() as cursor:
            archived = _archived(cursor)
    after = target.stat().st_size
    return CopyReport(
        *(str(target), before, after, replies), seconds=time.monotonic() - started,
        warnings=_elsewhere(archived),
    )  # fmt: skip


def rescue(
    settings: Settings, target: Path, progress: Progress, *, wait: bool = False
) -> CopyReport:
    """Put what can be read of a damaged staging file into `target`, which must not be there yet.

    A failure tells how many replies are lost; the next fetch asks for their dates again.
    """
    path, started = settings.staging, time.monotonic()
    try:
        with (
            unopened(path, wait=wait),
            _new_file(path, target, "rescue") as draft,
            progress.meter("rescue", 100, "%") as meter,
        ):
            saved = rescued(path, draft, lambda percent: meter.advance(percent, ""))
    except OSError as error:
        raise StagingError(f"staging {target}: {error.strerror}; {ADVICE}") from error
    failures = []
    if saved.lost:
        why = f"{saved.lost} cannot be read; fetch asks for them again"
        failures.append(Failure("replies", why))
    if saved.log_lost:
        failures.append(Failure(log_of(path).name, "cannot be read; fetch asks for it again"))
    return CopyReport(
        *(str(target), path.stat().st_size, target.stat().st_size, saved.replies),
        seconds=time.monotonic() - started,
        failures=failures,
        warnings=[*_elsewhere(saved.archived), _IN_ITS_PLACE],
    )


@contextlib.contextmanager
def _new_file(source: Path, target: Path, verb: str) -> Iterator[Path]:
    """Have a draft made of `target`, alone, and give it that name after the block.

    UsageError where anything has the name, or it belongs to the staging file or to another log.
    """
    own = {f"{source.resolve()}{ending}" for ending in (".wal", ".tmp", ".lock", ".run.json")}
    if os.path.lexists(target):
        raise UsageError(f"{target} is there already; name a new file for the {verb}")
    if not target.parent.is_dir():
        raise UsageError(f"{target}: there is no folder {target.parent}")
    if str(target.resolve()) in own or target.name.endswith(DRAFT):
        raise UsageError(f"{target} belongs to a staging file; name another for the {verb}")
    if log_of(target).exists():
        raise UsageError(f"{log_of(target)} is there already; move it away, or name another file")
    with unopened(target, wait=False):
        draft = draft_of(target)
        yield draft
        try:
            give_name(draft, target)
        except FileExistsError as error:
            draft.unlink()
            raise UsageError(f"{target} has come meanwhile; name a new file") from error
        flush(target.parent)


def _archived(cursor: Cursor) -> int:
    ((replies,),) = cursor.execute("select count(*) from archived_body").fetchall()
    return int(replies)


def _elsewhere(archived: int) -> list[str]:
    told = f"{archived} more replies stand in the archive: they are not in this file, nor looked at"
    return [told] if archived else []


def _copied(source: Staging, draft: Path, verb: str, progress: Progress) -> int:
    try:
        with progress.meter(verb, 100, "%") as meter:
            return copy_proven(source, draft, lambda percent: meter.advance(percent, ""))
    except OSError as error:
        raise StagingError(f"staging {draft}: {error.strerror}; {ADVICE}") from error
