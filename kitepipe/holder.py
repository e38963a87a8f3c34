"""Who holds what on this machine: the staging file, and the right to ask with an API key.

DuckDB lets one process in while a file is written, and counts no queue: the files here tell the
others who it is, let a writer that waits go before the next reader, and keep a second process
with the same key away from Kite.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

from kitepipe.errors import StagingBusy
from kitepipe.model import utc_now
from kitepipe.staging import Staging
from kitepipe.summary import Holder

_LOOK_AGAIN_S = 0.2
Beat = Callable[[int, int, int], None]


@contextlib.contextmanager
def writing(path: Path, api_root: str, verb: str, *, wait: bool) -> Iterator[tuple[Staging, Beat]]:
    """Open the staging file for writing, and tell others so in `<staging>.run.json`.

    Yields the file and the heartbeat: call it with windows done, planned and failed. Raises
    StagingBusy where another process holds it, unless `wait`.
    """
    with _patiently(path, lambda: Staging.write(path, api_root), wait) as staging:
        record = _Record(path, verb)
        try:
            record.beat(0, 0, 0)
            yield staging, record.beat
        finally:
            record.remove()


@contextlib.contextmanager
def reading(path: Path, *, wait: bool) -> Iterator[Staging]:
    """Open the staging file read-only, after any writer that waits for it."""
    with _patiently(path, lambda: Staging.read(path), wait) as staging:
        yield staging


def read_holder(path: Path) -> Holder | None:
    """Return who writes the staging file now, or None; a record left by a dead one is nothing."""
    try:
        holder = Holder(**json.loads(_record_path(path).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return holder if _is_alive(holder.pid) else None


@contextlib.contextmanager
def asking(api_root: str, api_key: str, *, wait: bool) -> Iterator[None]:
    """Be the only process of this machine that asks this Kite with this key.

    Two would share one limit without knowing of each other. Raises StagingBusy, unless `wait`.
    """
    digest = hashlib.sha256(f"{api_root} {api_key}".encode()).hexdigest()[:16]
    path = Path(tempfile.gettempdir()) / f"kitepipe-{os.getuid()}-{digest}.lock"
    with _lock_file(path) as file:
        if not _try_lock(file, wait):
            raise StagingBusy(
                "another kitepipe asks Kite with the same API key on this machine, and they would "
                "share one rate limit; wait for it, or use --wait"
            )
        yield


@contextlib.contextmanager
def _patiently(path: Path, opened: Callable[[], Staging], wait: bool) -> Iterator[Staging]:
    while True:
        try:
            with _queue(path, wait):
                staging = opened()
            break
        except StagingBusy as error:
            if not wait:
                raise StagingBusy(_who(path, error)) from error
            time.sleep(_LOOK_AGAIN_S)
    with staging:
        yield staging


@contextlib.contextmanager
def _queue(path: Path, wait: bool) -> Iterator[None]:
    """Whoever waits for the file holds this lock; a reader between two rounds queues behind."""
    if not path.parent.is_dir():
        yield
        return
    with _lock_file(path.with_name(path.name + ".lock")) as file:
        _try_lock(file, wait=True)
        yield


@contextlib.contextmanager
def _lock_file(path: Path) -> Iterator[TextIO]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "r+") as file:
        yield file


def _try_lock(file: TextIO, wait: bool) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def _who(path: Path, error: StagingBusy) -> str:
    holder = read_holder(path)
    if holder is None:
        return str(error)
    return (
        f"staging {path}: held by 'kitepipe {holder.verb}' (process {holder.pid}, since "
        f"{holder.since}, {holder.done} of {holder.planned} done); wait for it, or use --wait"
    )


class _Record:
    """`<staging>.run.json`, replaced in one step and at most once a second."""

    def __init__(self, path: Path, verb: str) -> None:
        self._path = _record_path(path)
        self._verb, self._since = verb, utc_now().isoformat(timespec="seconds")
        self._started, self._written_at = time.monotonic(), 0.0

    def beat(self, done: int, planned: int, failures: int) -> None:
        """Write how far the run is."""
        now = time.monotonic()
        if now - self._written_at < 1.0:
            return
        self._written_at = now
        rate = done / max(now - self._started, 1e-9)
        holder = Holder(
            os.getpid(), self._verb, self._since, done, planned, round(rate, 3), failures
        )
        draft = self._path.with_name(self._path.name + ".new")
        draft.write_text(json.dumps(asdict(holder)), encoding="utf-8")
        draft.replace(self._path)

    def remove(self) -> None:
        """Nobody holds the file any more."""
        self._path.unlink(missing_ok=True)


def _record_path(path: Path) -> Path:
    return path.with_name(path.name + ".run.json")


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
