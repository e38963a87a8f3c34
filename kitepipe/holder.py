"""Who holds what on this machine: the staging file, and the right to ask with an API key.

DuckDB lets one process in while a file is written, and counts no queue: the files here tell the
others who it is, let a writer that waits go before the next reader, and keep a second process
with the same key away from Kite.
"""

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TypeVar

from kitepipe.errors import StagingBusy, StagingError
from kitepipe.model import utc_now
from kitepipe.staging import Staging
from kitepipe.staging_errors import ADVICE
from kitepipe.staging_open import beside
from kitepipe.summary import Holder

log = logging.getLogger(__name__)

_LOOK_AGAIN_S = 0.2
_OPENING_S = 1.0  # longer than anybody needs to open the file: who has the queue so long, waits
Beat = Callable[[int, int, int], None]
T = TypeVar("T")


@contextlib.contextmanager
def writing(
    path: Path, api_root: str | None, verb: str, *, wait: bool, archive: Path = Path()
) -> Iterator[tuple[Staging, Beat]]:
    """Open the staging file for writing, and tell others so in `<staging>.run.json`.

    Yields the file and the heartbeat: call it with windows done, planned and failed. Raises
    StagingBusy where another process holds it, unless `wait`; StagingError as `Staging.write`.
    """
    kind = fcntl.LOCK_EX if wait else fcntl.LOCK_SH
    with _opened(path, lambda: Staging.write(path, api_root, archive), wait, kind) as staging:
        record = _Record(path, verb)
        try:
            record.beat(0, 0, 0)
            yield staging, record.beat
        finally:
            record.remove()


@contextlib.contextmanager
def reading(path: Path, *, wait: bool, archive: Path = Path()) -> Iterator[Staging]:
    """Open the staging file read-only, after any writer that waits for it."""
    door = partial(Staging.read, path, archive)
    with _opened(path, door, wait, fcntl.LOCK_SH) as staging:
        yield staging


@contextlib.contextmanager
def alone(path: Path, verb: str, *, wait: bool) -> Iterator[None]:
    """Keep every other kitepipe from opening the staging file, which the block may replace.

    Nobody has it open then, and its log is written into it. Errors as `writing`.
    """
    with _queue(path, wait, fcntl.LOCK_EX):
        _patiently(path, lambda: Staging.write(path, None), wait).close()
        record = _Record(path, verb)
        try:
            record.beat(0, 0, 0)
            yield
        finally:
            record.remove()


@contextlib.contextmanager
def unopened(path: Path, *, wait: bool) -> Iterator[None]:
    """Keep every other kitepipe from opening the staging file, unopened: it may be damaged."""
    with _queue(path, wait, fcntl.LOCK_EX):
        yield


def is_awaited(path: Path) -> bool:
    """Tell whether another kitepipe waits to write the staging file, or to have it alone."""
    try:
        lock = _open_lock(beside(path, ".lock"))
    except OSError:  # where no file can be made nobody can wait
        return False
    with _closing(lock):
        return not _try(lock, fcntl.LOCK_SH)


def renew(staging: Staging) -> bool:
    """Take a staging file that is open for writing anew, see `Staging.renew`; no kitepipe gets in.

    Where one waits for the file, or is about to open it, nothing is done: returns False. Any other
    program that has got in is waited for.
    """
    try:
        lock = _open_lock(beside(staging.place, ".lock"))
    except OSError:
        return False
    with _closing(lock):
        if not _try(lock, fcntl.LOCK_EX):
            return False
        return _patiently(staging.path, staging.renew, wait=True)


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
    path = Path(tempfile.gettempdir()) / f"kitepipe-{digest}.lock"
    try:
        lock = _open_lock(path)
    except OSError as error:
        raise StagingError(
            f"lock {path}: {error.strerror}; remove it, or let us read it"
        ) from error
    with _closing(lock):
        if wait:
            _line_up(lock, fcntl.LOCK_EX, "another kitepipe asks Kite with the same API key")
        elif not _try(lock, fcntl.LOCK_EX):
            raise StagingBusy(
                "another kitepipe asks Kite with the same API key on this machine, and they would "
                "share one rate limit; wait for it, or use --wait"
            )
        yield


@contextlib.contextmanager
def _opened(path: Path, door: Callable[[], Staging], wait: bool, kind: int) -> Iterator[Staging]:
    with _queue(path, wait, kind):
        staging = _patiently(path, door, wait)
    with staging:
        yield staging


@contextlib.contextmanager
def _queue(path: Path, wait: bool, kind: int) -> Iterator[None]:
    """Hold the lock of those who come: a writer that waits and who is to be alone have it alone.

    Readers share it, and writers that do not wait, while they open the file. So readers that wait
    keep no reader out, and one that gives way comes back behind the writer that it gave way to.
    """
    try:
        if path.exists() and not path.is_file():  # a device, a folder: whoever opens it says so
            raise OSError
        lock = _open_lock(beside(path, ".lock"))
    except OSError:  # where no file can be made there is no writer to wait for
        yield
        return
    with _closing(lock):
        if wait:
            _line_up(lock, kind, f"staging {path}: another process is before us")
        elif not _try(lock, kind, for_s=_OPENING_S):
            waited = StagingBusy(
                f"staging {path}: another process waits for it; come later, or use --wait"
            )
            raise StagingBusy(_who(path, waited))
        yield


def _patiently(path: Path, door: Callable[[], T], wait: bool) -> T:
    told = False
    while True:
        try:
            return door()
        except StagingBusy as error:
            who = _who(path, error)
            if not wait:
                raise StagingBusy(who) from error
        if not told:
            log.warning("%s; waiting", who.partition("; wait")[0])
            told = True
        time.sleep(_LOOK_AGAIN_S)


def _open_lock(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    except PermissionError:  # another user's file is locked just as well
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW)


@contextlib.contextmanager
def _closing(lock: int) -> Iterator[None]:
    """Close the file at the end, which lets the lock go."""
    try:
        yield
    finally:
        os.close(lock)


def _line_up(lock: int, kind: int, why: str) -> None:
    if not _try(lock, kind):
        log.warning("%s; waiting", why)
        fcntl.flock(lock, kind)


def _try(lock: int, kind: int, for_s: float = 0.0) -> bool:
    deadline = time.monotonic() + for_s
    while True:
        try:
            fcntl.flock(lock, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_LOOK_AGAIN_S / 4)
        else:
            return True


def _who(path: Path, error: StagingBusy) -> str:
    """Say who holds the file; a record of any other process than DuckDB names is an old one."""
    holder, named = read_holder(path), re.search(r"process (\d+)", str(error))
    if holder is None or (named and int(named[1]) != holder.pid):
        return str(error)
    return (
        f"staging {path}: held by 'kitepipe {holder.verb}' (process {holder.pid}, since "
        f"{holder.since}, {holder.done} of {holder.planned} done); wait for it, or use "
        "--wait where the command has it"
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
        try:
            draft.write_text(json.dumps(asdict(holder)), encoding="utf-8")
            draft.replace(self._path)
        except OSError as error:
            raise StagingError(f"staging {self._path}: {error.strerror}; {ADVICE}") from error

    def remove(self) -> None:
        """Nobody holds the file any more."""
        self._path.unlink(missing_ok=True)


def _record_path(path: Path) -> Path:
    return beside(path, ".run.json")


def _is_alive(pid: object) -> bool:
    if not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # somebody else's
        return True
    return True
