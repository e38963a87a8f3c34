"""The session that `login` keeps: one small JSON file which only its owner can read.

Nothing here ever stands where another user could read it, not even for a moment, and a file
that others can read is refused instead of used.
"""

import json
import os
import shlex
import stat
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

from kitepipe.errors import AuthenticationError
from kitepipe.model import IST, utc_now


@dataclass(frozen=True, slots=True)
class Session:
    """What Kite wants in each request's header; instants are None where nobody told them."""

    api_key: str = field(repr=False)
    access_token: str = field(repr=False)
    user_id: str = ""
    logged_in_at: datetime | None = None
    dies_at: datetime | None = None


def death_of(logged_in_at: datetime) -> datetime:
    """Return when Kite ends a session: at 06:00 IST of the next day (Kite's documentation)."""
    day = logged_in_at.astimezone(IST).date() + timedelta(days=1)
    return datetime.combine(day, time(6), IST)


def store_session(path: Path, session: Session, now: datetime | None = None) -> Session:
    """Write the session at mode 0600, in one step over what was there; return it with its times."""
    logged_in_at = session.logged_in_at or now or utc_now()
    dies_at = session.dies_at or death_of(logged_in_at)
    stored = replace(session, logged_in_at=logged_in_at, dies_at=dies_at)
    plain = {
        "api_key": stored.api_key,
        "access_token": stored.access_token,
        "user_id": stored.user_id,
        "logged_in_at": logged_in_at.isoformat(timespec="seconds"),
        "dies_at": dies_at.isoformat(timespec="seconds"),
    }
    try:
        _write_privately(path, json.dumps(plain, indent=2) + "\n")
    except OSError as error:
        raise AuthenticationError(
            f"session file {path} cannot be written: {error.strerror}; choose another place "
            "with session_file (--session-file)"
        ) from error
    return stored


def read_session(path: Path) -> Session | None:
    """Return the stored session, None where there is no file; AuthenticationError if not private.

    A session that is already dead is returned all the same: `dies_at` tells.
    """
    try:
        # O_NONBLOCK: a named pipe in its place must not hang us before it is refused.
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise AuthenticationError(
            f"session file {path} cannot be read: {error.strerror}"
        ) from error
    # Judged is what was opened, after symlinks: a path could change between a look and an open.
    with os.fdopen(handle, encoding="utf-8") as file:
        _refuse_shared(path, os.fstat(handle))
        try:
            return _from_plain(json.load(file))
        except (ValueError, KeyError, TypeError) as error:
            raise AuthenticationError(
                f"session file {path} is damaged; run 'kitepipe login' to write a new one"
            ) from error


def _from_plain(plain: dict[str, Any]) -> Session:
    key, token = plain["api_key"], plain["access_token"]
    if not (isinstance(key, str) and key and isinstance(token, str) and token):
        raise ValueError
    born, dead = (datetime.fromisoformat(plain[name]) for name in ("logged_in_at", "dies_at"))
    if born.tzinfo is None or dead.tzinfo is None:
        raise ValueError
    return Session(key, token, str(plain.get("user_id", "")), born, dead)


def _refuse_shared(path: Path, seen: os.stat_result) -> None:
    if not stat.S_ISREG(seen.st_mode):
        raise AuthenticationError(f"session file {path} is not a regular file")
    if seen.st_uid != os.geteuid():
        raise AuthenticationError(
            f"session file {path} belongs to another user (uid {seen.st_uid}): not used; "
            "remove it and run 'kitepipe login'"
        )
    if seen.st_mode & 0o077:
        raise AuthenticationError(
            f"session file {path} can be read by others (mode {stat.S_IMODE(seen.st_mode):04o}): "
            f"not used; run: chmod 600 {shlex.quote(str(path))}"
        )


def _write_privately(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            os.fchmod(handle, 0o600)  # an odd umask may have taken the owner's own bits
            file.write(text)
            file.flush()
            os.fsync(handle)
        os.replace(draft, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(draft)
        raise
