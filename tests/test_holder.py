"""Claims about who holds the staging file, and who may ask with an API key."""

import contextlib
import fcntl
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from kitepipe.errors import StagingBusy
from kitepipe.holder import asking, is_awaited, read_holder, reading, writing
from kitepipe.staging import Staging
from tests.staging_help import API_ROOT, Other, other

HOLD = """
with writing(Path(sys.argv[1]), API_ROOT, "fetch", wait=False) as (staging, beat):
    say("held")
    hear()
"""
ASK = """
with asking(API_ROOT, "key", wait=False):
    say("asking")
    hear()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A staging file that is there."""
    path = tmp_path / "kitepipe.duckdb"
    Staging.write(path, API_ROOT).close()
    return path


@pytest.fixture
def writer(path: Path) -> Iterator[Other]:
    """Another process that holds it for writing."""
    with other(HOLD, path) as process:
        assert process.heard() == "held"
        yield process


def record_of(path: Path) -> Path:
    """Return where a writer tells about itself."""
    return path.with_name(path.name + ".run.json")


DOORS: list[Callable[[Path], AbstractContextManager[object]]] = [
    lambda path: reading(path, wait=False),
    lambda path: writing(path, API_ROOT, "fetch", wait=False),
]


@pytest.mark.parametrize("door", DOORS, ids=["read", "write"])
def test_who_holds_the_file_is_said(
    path: Path, writer: Other, door: Callable[[Path], AbstractContextManager[object]]
) -> None:
    """Without --wait the second process is told the verb, process and progress of the first."""
    with pytest.raises(StagingBusy) as raised, door(path):
        pass
    assert raised.value.exit_code == 12
    text = str(raised.value)
    assert f"staging {path}: held by 'kitepipe fetch' (process {writer.pid}, since 20" in text
    assert "0 of 0 done); wait for it, or use --wait" in text


def test_a_file_held_without_a_record_names_the_process(path: Path, writer: Other) -> None:
    """A holder that is no kitepipe run left no record: DuckDB knows its process all the same."""
    record_of(path).unlink()
    with pytest.raises(StagingBusy, match=f"held by process {writer.pid}; wait"):
        reading(path, wait=False).__enter__()


def test_a_record_of_another_living_process_is_not_believed(path: Path, writer: Other) -> None:
    """The record of a dead run, whose process id another program has now, misleads nobody."""
    record = json.loads(record_of(path).read_text())
    record_of(path).write_text(json.dumps(record | {"pid": os.getpid(), "verb": "run"}))
    with pytest.raises(StagingBusy, match=f"held by process {writer.pid}; wait"):
        reading(path, wait=False).__enter__()


def test_wait_opens_when_the_holder_is_done(path: Path, writer: Other) -> None:
    """With --wait the file is opened as soon as it is let go."""
    code = """
with reading(Path(sys.argv[1]), wait=True) as staging:
    say(staging.staging_id)
"""
    with other(code, path) as waiting:
        time.sleep(0.7)
        assert waiting.process.poll() is None
        writer.tell()
        assert len(waiting.heard()) == 36
        assert waiting.end() == 0


def test_a_waiting_writer_is_let_in_before_the_next_reader(path: Path) -> None:
    """While a writer waits, readers that come are sent away; it is in when the last one is out."""
    wait = """
with writing(Path(sys.argv[1]), API_ROOT, "fetch", wait=True):
    say("in")
"""
    with other(wait, path) as process:
        with reading(path, wait=False):
            _until_locked(path.with_name(path.name + ".lock"))
            with pytest.raises(StagingBusy, match="another process waits for it"):
                reading(path, wait=False).__enter__()
        assert process.heard() == "in"
        assert process.end() == 0


def test_a_reader_that_gives_way_and_comes_back_at_once_is_second(path: Path) -> None:
    """It learns that a writer waits; the writer is in before it, however fast it comes back."""
    gives_way = """
path = Path(sys.argv[1])
with reading(path, wait=True):
    say("in")
    while not is_awaited(path):
        time.sleep(0.01)
with reading(path, wait=True):
    say("in again")
"""
    with other(gives_way, path) as reader:
        assert reader.heard() == "in"
        with writing(path, API_ROOT, "fetch", wait=True):
            time.sleep(0.3)
            assert reader.process.poll() is None
        assert reader.heard() == "in again"
        assert reader.end() == 0


def test_who_is_in_or_opens_the_file_does_not_await_it(path: Path, writer: Other) -> None:
    """Nobody waits: not the writer that has it, not a reader that was sent away."""
    assert not is_awaited(path)
    with pytest.raises(StagingBusy):
        reading(path, wait=False).__enter__()
    assert not is_awaited(path)
    wait = """
with writing(Path(sys.argv[1]), API_ROOT, "fetch", wait=True):
    say("in")
"""
    with other(wait, path) as waiting:
        _until_locked(path.with_name(path.name + ".lock"))
        assert is_awaited(path)
        writer.tell()
        assert waiting.heard() == "in"
    assert not is_awaited(path)


def test_a_reader_that_waits_is_no_reason_to_give_way(path: Path, writer: Other) -> None:
    """Readers share the file: two loads that gave way to each other would get nowhere."""
    wait = """
with reading(Path(sys.argv[1]), wait=True):
    say("in")
"""
    lock = path.with_name(path.name + ".lock")
    with other(wait, path) as waiting:
        _until_locked(lock, fcntl.LOCK_EX)
        assert not is_awaited(path)
        writer.tell()
        assert waiting.heard() == "in"


def test_several_readers_share_the_file(path: Path) -> None:
    """Readers in two processes are in at once: status runs beside load."""
    read = """
with reading(Path(sys.argv[1]), wait=False) as staging:
    say(staging.staging_id)
    hear()
"""
    with other(read, path) as process, reading(path, wait=False) as staging:
        assert process.heard() == staging.staging_id


def test_the_record_tells_how_far_a_run_is(path: Path) -> None:
    """While the file is written, the record beside it holds pid, verb, progress and failures."""
    with writing(path, API_ROOT, "run", wait=False) as (_, beat):
        time.sleep(1.05)
        beat(30, 100, 2)
        holder = read_holder(path)
    assert holder is not None
    assert (holder.pid, holder.verb) == (os.getpid(), "run")
    assert (holder.done, holder.planned, holder.failures) == (30, 100, 2)
    assert 20 < holder.rate <= 30


def test_the_record_is_written_at_most_once_a_second(path: Path) -> None:
    """A thousand heartbeats in a moment cost one write; the next second has its own."""
    with writing(path, API_ROOT, "fetch", wait=False) as (_, beat):
        written = record_of(path).stat().st_mtime_ns
        for done in range(1000):
            beat(done, 1000, 0)
        assert record_of(path).stat().st_mtime_ns == written
        time.sleep(1.05)
        beat(1000, 1000, 0)
        assert record_of(path).stat().st_mtime_ns > written


def test_the_record_is_replaced_in_one_step(path: Path) -> None:
    """Whoever has the old record open reads on in it: nobody ever sees half of one."""
    with writing(path, API_ROOT, "fetch", wait=False) as (_, beat):
        with record_of(path).open(encoding="utf-8") as old:
            time.sleep(1.05)
            beat(1, 2, 0)
            assert json.load(old)["done"] == 0
        assert json.loads(record_of(path).read_text())["done"] == 1
        assert list(path.parent.glob("*.new")) == []


def test_the_record_is_gone_at_the_end(path: Path) -> None:
    """A run that ends, well or by an error, leaves no record."""
    with (
        contextlib.suppress(ZeroDivisionError),
        writing(path, API_ROOT, "fetch", wait=False),
    ):
        assert record_of(path).exists()
        raise ZeroDivisionError
    assert not record_of(path).exists()
    assert read_holder(path) is None


def test_the_record_of_a_killed_writer_is_nothing(path: Path, writer: Other) -> None:
    """The record that a killed run left is not believed, and the file opens."""
    writer.process.kill()
    writer.end()
    assert record_of(path).exists()
    assert read_holder(path) is None
    with reading(path, wait=False):
        pass


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", "{}", '"x"', '{"pid": 1}', '{"pid": "1", "unknown": 2}']
)
def test_a_strange_record_is_nothing(path: Path, text: str) -> None:
    """A record that is no record names nobody, whatever stands in it."""
    record_of(path).write_text(text)
    assert read_holder(path) is None


@pytest.mark.parametrize("pid", [0, -1, 2**40, 10**30, "1", None, 1.5])
def test_a_record_without_a_process_is_nothing(path: Path, pid: object) -> None:
    """A number that no process can have does not count as a living one."""
    with writing(path, API_ROOT, "fetch", wait=False):
        record = json.loads(record_of(path).read_text())
    record_of(path).write_text(json.dumps(record | {"pid": pid}))
    assert read_holder(path) is None


def test_one_key_is_asked_by_one_process() -> None:
    """A second process with the same key and Kite is held off; another key is none of its."""
    with other(ASK) as process:
        assert process.heard() == "asking"
        with pytest.raises(StagingBusy, match=r"same API key.*--wait") as raised:
            asking(API_ROOT, "key", wait=False).__enter__()
        assert raised.value.exit_code == 12
        with asking(API_ROOT, "another", wait=False), asking("http://b", "key", wait=False):
            pass


def test_waiting_for_the_key_ends_with_the_other_process() -> None:
    """With --wait the key is taken over when the other process ends, even killed."""
    with other(ASK) as process:
        assert process.heard() == "asking"
        process.process.kill()
        with asking(API_ROOT, "key", wait=True):
            process.end()


def test_the_key_stands_in_no_name_of_a_lock() -> None:
    """The lock's name does not tell the key."""
    with asking(API_ROOT, "secretkey", wait=False):
        assert not [name for name in os.listdir(tempfile.gettempdir()) if "secretkey" in name]


def _until_locked(lock: Path, kind: int = fcntl.LOCK_SH) -> None:
    for _ in range(200):
        with lock.open("r+") as file:
            try:
                fcntl.flock(file, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                return
        time.sleep(0.05)
    raise AssertionError("nobody waits")
