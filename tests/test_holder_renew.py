"""A staging file that its writer takes anew: memory is freed, and nobody gets in between."""

import contextlib
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import pytest

from kitepipe.errors import StagingBusy
from kitepipe.holder import renew, writing
from kitepipe.model import Window
from kitepipe.staging import Staging
from kitepipe.staging_open import ROW_GROUP, log_of
from kitepipe.staging_replies import ReplyWriter
from tests.load_help import day
from tests.staging_help import (
    API_ROOT,
    Rows,
    candles,
    commit,
    other,
    row_groups,
    series,
    stored,
)

TRYING = """
path, over = Path(sys.argv[1]), Path(sys.argv[2])
tried = got = 0
while not over.exists():
    for door in (reading(path, wait=False), writing(path, API_ROOT, "load", wait=False)):
        tried += 1
        try:
            with door:
                got += 1
        except StagingBusy:
            pass
    if tried == 2:
        say("begun")
    time.sleep(0.01)
say(f"{got} in")
"""
WAITING = """
with writing(Path(sys.argv[1]), API_ROOT, "load", wait=True):
    say("in")
"""
STRANGER = """
import duckdb
until = time.monotonic() + 30
while time.monotonic() < until:
    try:
        with duckdb.connect(sys.argv[1], read_only=True):
            say("in")
            hear()
            break
    except duckdb.IOException:
        pass
"""


def _stage(writer: ReplyWriter, number: int) -> None:
    window = Window(day(3 * number), day(3 * number + 2))
    commit(writer, series(), window, candles(day(3 * number + n) for n in range(3)))


def _bodies(staging: Staging) -> int:
    """Return how many bodies a file has that is open."""
    with staging.cursor() as cursor:
        return int(cursor.execute("select count(*) from body").fetchall()[0][0])


def test_no_kitepipe_gets_in_while_a_file_is_taken_anew(tmp_path: Path) -> None:
    """Two doors that are tried all the time stay shut; what is staged before and after is there."""
    path, over = tmp_path / "a.duckdb", tmp_path / "over"
    with (
        writing(path, API_ROOT, "fetch", wait=False) as (staging, _),
        ReplyWriter(staging, seal_bytes=500) as writer,
        other(TRYING, path, over) as process,
    ):
        assert process.heard() == "begun"
        number = done = 0
        while done < 50:
            _stage(writer, number)
            done += renew(staging)
            number += 1
            assert number < 5000
        over.touch()
        assert process.heard() == "0 in"
    bodies = stored(path, "select count(distinct reply_id), count(*) from body")
    assert bodies == [(number, number)]


def test_who_waits_for_a_file_is_not_let_in_before_its_turn(tmp_path: Path) -> None:
    """Where a kitepipe waits it would be in at once: the file is not let go before the end."""
    path = tmp_path / "a.duckdb"
    with (
        writing(path, API_ROOT, "fetch", wait=False) as (staging, _),
        ReplyWriter(staging, seal_bytes=500) as writer,
        other(WAITING, path) as process,
    ):
        number = 0
        while renew(staging):
            _stage(writer, number)
            number += 1
            assert number < 2000
        for more in range(20):
            assert not renew(staging)
            _stage(writer, number + more)
        assert _bodies(staging) == number + 20
        staging.close()
        assert process.heard() == "in"


def test_a_stranger_that_gets_in_is_waited_for(tmp_path: Path) -> None:
    """Another program knows no queue: what it holds for a moment is taken when it is done."""
    path, over = tmp_path / "a.duckdb", Event()

    def keep_on() -> None:
        while not over.is_set():
            renew(staging)

    with (
        writing(path, API_ROOT, "fetch", wait=False) as (staging, _),
        ReplyWriter(staging) as writer,
        other(STRANGER, path) as process,
    ):
        _stage(writer, 0)
        taking = Thread(target=keep_on, daemon=True)
        taking.start()
        try:
            assert process.heard() == "in"
        finally:
            over.set()
        taking.join(0.5)
        assert taking.is_alive()
        process.tell()
        taking.join(30)
        assert not taking.is_alive()
        _stage(writer, 1)
    assert stored(path, "select count(*) from body") == [(2,)]


@pytest.fixture
def alarm() -> Iterator[None]:
    """An alarm interrupts, as Ctrl-C does."""
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    yield
    signal.signal(signal.SIGALRM, before)


def test_an_interrupt_at_any_instant_leaves_the_file_open(tmp_path: Path, alarm: None) -> None:
    """Who ends a fetch just then has its last replies committed, as at any other time."""
    path = tmp_path / "a.duckdb"
    with (
        writing(path, API_ROOT, "fetch", wait=False) as (staging, _),
        ReplyWriter(staging, seal_bytes=500) as writer,
    ):
        for number in range(100):
            with pytest.raises((KeyboardInterrupt, RuntimeError)):  # DuckDB makes it the other
                _renew_until(staging, 0.001 + 0.0001 * number)
            _stage(writer, number)
    assert stored(path, "select count(*) from body") == [(100,)]


def _renew_until(staging: Staging, interrupt_s: float) -> None:
    signal.setitimer(signal.ITIMER_REAL, interrupt_s)
    while True:
        renew(staging)


def test_an_interrupt_is_heard_while_a_stranger_has_the_file(tmp_path: Path, alarm: None) -> None:
    """A fetch that waits for another program ends at once; what was staged is in the file."""
    path = tmp_path / "a.duckdb"
    with Staging.write(path, API_ROOT) as staging, ReplyWriter(staging) as writer:
        _stage(writer, 0)
        with other(STRANGER, path) as process:
            while staging.is_attached and process.process.poll() is None:
                with contextlib.suppress(StagingBusy):
                    staging.renew()
            assert process.heard() == "in"
            for number in range(50):
                with pytest.raises((KeyboardInterrupt, RuntimeError)):
                    _knock_until(staging, 0.001 + 0.0001 * number)
            process.tell()
            assert process.end() == 0
        assert staging.renew()
        _stage(writer, 1)
    assert stored(path, "select count(*) from body") == [(2,)]


def _knock_until(staging: Staging, interrupt_s: float) -> None:
    signal.setitimer(signal.ITIMER_REAL, interrupt_s)
    until = time.monotonic() + 5
    while time.monotonic() < until:
        with contextlib.suppress(StagingBusy):
            staging.renew()


@pytest.mark.parametrize("other_file", [False, True])
def test_a_file_that_was_moved_is_kept_to_the_end(tmp_path: Path, other_file: bool) -> None:
    """What an open file is called meanwhile is no matter: it is not let go."""
    path, away, another = (tmp_path / f"{name}.duckdb" for name in "abc")
    Staging.write(another, API_ROOT).close()
    with (
        writing(path, API_ROOT, "fetch", wait=False) as (staging, _),
        ReplyWriter(staging, seal_bytes=500) as writer,
    ):
        _stage(writer, 0)
        path.rename(away)
        if other_file:
            another.rename(path)
        assert not renew(staging)
        _stage(writer, 1)
    assert stored(away, "select count(*) from body") == [(2,)]
    assert path.exists() == other_file
    assert stored(path if other_file else another, "select count(*) from body") == [(0,)]


def test_a_fetch_from_another_folder_finds_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path leads to the file of the folder in which it was opened."""
    monkeypatch.chdir(tmp_path)
    with writing(Path("a.duckdb"), API_ROOT, "fetch", wait=False) as (staging, _):
        (tmp_path / "other").mkdir()
        monkeypatch.chdir(tmp_path / "other")
        assert renew(staging)
        assert list((tmp_path / "other").iterdir()) == []
        monkeypatch.chdir(tmp_path)


def test_what_was_kept_of_it_is_freed_and_seals_stay_whole(tmp_path: Path) -> None:
    """The file is attached anew, its log is gone, and row groups are of a seal's size."""
    path = tmp_path / "a.duckdb"
    with (
        writing(path, API_ROOT, "fetch", wait=False) as (staging, _),
        ReplyWriter(staging, seal_bytes=500) as writer,
    ):
        for number in range(6):
            _stage(writer, number)
            before = _attached_as(staging)
            assert renew(staging)
            assert _attached_as(staging) != before
            assert not log_of(path).exists()
    assert row_groups(path) == {ROW_GROUP}


def _attached_as(staging: Staging) -> Rows:
    with staging.cursor() as cursor:
        query = "select database_oid from duckdb_databases() where database_name = 'staging'"
        return cursor.execute(query).fetchall()
