"""The stored session: whole, private from its first moment, and refused when it is not."""

import json
import os
import stat
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kitepipe.config import ConfigLoader, Settings
from kitepipe.errors import AuthenticationError
from kitepipe.model import IST, utc_now
from kitepipe.session_file import Session, death_of, read_session, store_session

SESSION = Session("the-key", "the-token", "AB1234")
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=IST)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a session may be kept; its folder does not exist yet."""
    return tmp_path / "kitepipe" / "session.json"


def test_what_is_stored_is_read_again(path: Path) -> None:
    """A session comes back whole, with the times of its birth and death."""
    stored = store_session(path, SESSION, NOON)
    assert read_session(path) == stored
    assert stored == replace(SESSION, logged_in_at=NOON, dies_at=death_of(NOON))
    assert set(json.loads(path.read_text())) == {
        "api_key",
        "access_token",
        "user_id",
        "logged_in_at",
        "dies_at",
    }


@pytest.mark.parametrize("hour", [0, 5, 6, 12, 23])
def test_a_session_dies_at_six_in_india_on_the_next_day(hour: int) -> None:
    """The day is India's: 23:00 UTC is already tomorrow there."""
    assert death_of(datetime(2026, 11, 23, hour, tzinfo=IST)) == datetime(
        2026, 11, 24, 6, tzinfo=IST
    )
    assert death_of(datetime(2026, 11, 23, 23, tzinfo=UTC)) == datetime(2026, 11, 25, 6, tzinfo=IST)


def test_no_file_is_no_session(path: Path) -> None:
    """Nobody logged in here: that is no error yet."""
    assert read_session(path) is None


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_the_file_is_private_under_any_umask(path: Path, umask: int) -> None:
    """Neither a lax nor an odd umask changes the mode 0600."""
    path.parent.mkdir()
    before = os.umask(umask)
    try:
        store_session(path, SESSION)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_session(path)


def test_no_file_of_another_mode_ever_stands_in_the_folder(path: Path) -> None:
    """Somebody who looks all the time never sees a file that others could read."""
    path.parent.mkdir()
    modes: set[int] = set()
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            for entry in os.scandir(path.parent):
                try:
                    modes.add(stat.S_IMODE(entry.stat().st_mode))
                except FileNotFoundError:
                    continue

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        for _ in range(100):
            store_session(path, SESSION)
    finally:
        over.set()
        watcher.join()
    assert modes == {0o600}
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o666])
def test_a_file_that_others_can_read_or_write_is_refused(path: Path, mode: int) -> None:
    """The refusal has the command that mends it."""
    store_session(path, SESSION)
    path.chmod(mode)
    with pytest.raises(AuthenticationError, match=f"chmod 600 {path}"):
        read_session(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_symlink_to_the_file_of_another_user_is_refused(path: Path, tmp_path: Path) -> None:
    """Another user's file could be swapped for a session of theirs."""
    store_session(tmp_path / "theirs.json", SESSION)
    os.chown(tmp_path / "theirs.json", 12345, 12345)
    path.parent.mkdir()
    path.symlink_to(tmp_path / "theirs.json")
    with pytest.raises(AuthenticationError, match="another user"):
        read_session(path)


def test_a_pipe_in_its_place_is_refused_at_once(path: Path) -> None:
    """Reading a named pipe would wait for ever."""
    path.parent.mkdir()
    os.mkfifo(path, 0o600)
    with pytest.raises(AuthenticationError, match="not a regular file"):
        read_session(path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"api_key": "a", "access_token": ""}',
        '{"api_key": "a", "access_token": "b", "logged_in_at": "2026-11-23T10:00:00",'
        ' "dies_at": "2026-11-24T06:00:00"}',
        '{"api_key": "a", "access_token": "b", "logged_in_at": 1, "dies_at": 2}',
    ],
)
def test_a_damaged_file_is_an_error_with_advice(path: Path, text: str) -> None:
    """Half a file, or one that somebody else wrote, leads to a new login."""
    path.parent.mkdir()
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(AuthenticationError, match="kitepipe login"):
        read_session(path)


def test_a_session_shows_no_secret() -> None:
    """Neither key nor token is in the repr."""
    assert "the-key" not in repr(SESSION)
    assert "the-token" not in repr(SESSION)


def test_a_failed_write_leaves_the_old_session_and_no_draft(path: Path) -> None:
    """Where the new session cannot be put in place, nothing half-written stays."""
    path.mkdir(parents=True)
    (path / "in the way").touch()
    with pytest.raises(AuthenticationError, match="cannot be written"):
        store_session(path, SESSION)
    assert os.listdir(path.parent) == [path.name]


def _settings(path: Path, **environ: str) -> Settings:
    return ConfigLoader(environ=environ).load(session_file=path)


def test_variables_are_stronger_than_the_file(path: Path) -> None:
    """Key and token from the environment need no file; a token alone borrows the file's key."""
    both = _settings(path, KITEPIPE_API_KEY="k", KITEPIPE_ACCESS_TOKEN="t")
    assert both.session() == Session("k", "t")
    store_session(path, SESSION)
    assert both.session() == Session("k", "t")
    assert _settings(path, KITEPIPE_ACCESS_TOKEN="t").session() == Session("the-key", "t")
    assert _settings(path).session().access_token == "the-token"


def test_without_a_session_the_advice_is_to_log_in(path: Path) -> None:
    """No session, a dead one, and one of another key are exit 10 with the same way out."""
    with pytest.raises(AuthenticationError, match="run 'kitepipe login'") as caught:
        _settings(path, KITEPIPE_API_KEY="k").session()
    assert caught.value.exit_code == 10
    store_session(path, SESSION, utc_now() - timedelta(days=2))
    with pytest.raises(AuthenticationError, match=r"ended at .* 06:00 IST,.*kitepipe login"):
        _settings(path).session()
    store_session(path, SESSION)
    with pytest.raises(AuthenticationError, match="another API key"):
        _settings(path, KITEPIPE_API_KEY="k").session()
