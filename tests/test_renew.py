"""A long fetch takes its file anew now and then: memory is freed, and nobody gets in between."""

import signal
from datetime import date
from functools import partial
from pathlib import Path
from threading import Event, Thread

import pytest

from kitepipe import fetch as stage
from kitepipe import pipeline
from kitepipe.errors import StagingBusy
from kitepipe.holder import renew, writing
from kitepipe.model import Window
from kitepipe.plan import Bounds
from kitepipe.progress import Silent
from kitepipe.staging import Staging
from kitepipe.staging_replies import ReplyWriter
from tests.fetch_help import coverage, fetch, settings_for
from tests.load_help import day, with_schema
from tests.sandbox_asking import ist, sandbox
from tests.staging_help import API_ROOT, candles, commit, other, series, stored

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
while True:
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
        taking = Thread(target=keep_on)
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


def test_an_interrupt_at_any_instant_leaves_the_file_open(tmp_path: Path) -> None:
    """Who ends a fetch just then has its last replies committed, as at any other time."""
    path = tmp_path / "a.duckdb"
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        with (
            writing(path, API_ROOT, "fetch", wait=False) as (staging, _),
            ReplyWriter(staging, seal_bytes=500) as writer,
        ):
            for number in range(100):
                signal.setitimer(signal.ITIMER_REAL, 0.001 + 0.0001 * number)
                with pytest.raises((KeyboardInterrupt, RuntimeError)):  # DuckDB makes it the other
                    _renew_for_ever(staging)
                _stage(writer, number)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert stored(path, "select count(*) from body") == [(100,)]


def _renew_for_ever(staging: Staging) -> None:
    while True:
        renew(staging)


def test_what_a_stranger_has_taken_is_told(tmp_path: Path) -> None:
    """A fetch that is ended while it waits for another program cannot commit, and says why."""
    path = tmp_path / "a.duckdb"
    with Staging.write(path, API_ROOT) as staging, ReplyWriter(staging) as writer:
        _stage(writer, 0)
        with other(STRANGER, path) as process:
            while True:
                try:
                    staging.renew()
                except StagingBusy:
                    break
            assert process.heard() == "in"
            with pytest.raises(StagingBusy, match="another program has taken it; what was staged"):
                _stage(writer, 1)
            process.tell()
            assert process.end() == 0
        staging.renew()
        _stage(writer, 2)
    assert stored(path, "select count(*) from body") == [(2,)]


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """The writer seals after each few replies; the file is taken anew at each seal, and noted."""
    noted = []

    def note(staging: Staging) -> bool:
        noted.append(renew(staging))
        return noted[-1]

    monkeypatch.setattr(stage, "ReplyWriter", partial(ReplyWriter, seal_bytes=2000))
    monkeypatch.setattr(stage, "_SEALS", 1)
    monkeypatch.setattr(stage, "renew", note)
    return noted


def test_a_fetch_goes_on_in_a_file_that_it_takes_anew(tmp_path: Path, taken: list[bool]) -> None:
    """First downloads, and a night that compares with what is staged: as without."""
    with sandbox(now=ist(2026, 7, 1, 20), other_rate_limit=1000) as kite:
        settings = settings_for(kite, tmp_path / "a.duckdb")
        fetch(kite, settings)
        kite.set_now(ist(2026, 7, 3, 20))
        report = fetch(kite, settings)
        whole = coverage(settings.staging)
    assert report.failures == []
    assert taken.count(True) > 5
    assert [len(windows) for windows in whole.values()] == [1, 1, 1]
    assert {windows[0].last for windows in whole.values()} == {date(2026, 7, 3)}


def test_a_run_whose_loaders_read_the_file_keeps_it(
    tmp_path: Path, timescale_dsn: str, taken: list[bool]
) -> None:
    """What loads beside the fetch shares its database: nothing is let go under its hands."""
    with sandbox(now=ist(2026, 7, 1, 20), other_rate_limit=1000) as kite:
        settings = settings_for(kite, tmp_path / "a.duckdb", dsn=with_schema(timescale_dsn))
        report = pipeline.run(settings, Bounds(), Silent(), clock=lambda: kite.now)
    assert (report.fetch.failures, report.load.failures, report.exit_code) == ([], [], 0)
    assert taken == []
