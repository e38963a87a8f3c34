"""A log that is damaged is told, and none of what was committed is left out unsaid."""

import re
import signal
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from kitepipe import pipeline
from kitepipe.config import Settings
from kitepipe.errors import StagingBusy, StagingError
from kitepipe.model import Window
from kitepipe.progress import Silent
from kitepipe.staging import Staging
from kitepipe.staging_open import log_of
from tests.staging_help import candles, commit, numbered, other, refusal, series, stored

REPLIES = 4
_HEAD_BYTES = 64  # with all that stands before the entries
_SIZE_BYTES, _COMMIT_BYTES = 8, 13  # of an entry: its size; checksum and content of a commit
_FOUR_COMMITS = """
from tests.test_staging_log import commit_replies
with Staging.write(Path(sys.argv[1]), API_ROOT) as staging:
    commit_replies(staging)
    say("committed")
    hear()
"""


def commit_replies(staging: Staging) -> None:
    """Commit four replies, each of another day."""
    with numbered(staging) as writer:
        for day in (date(2027, 5, 1 + n) for n in range(REPLIES)):
            commit(writer, series(1), Window(day, day), candles([day]))


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file whose replies stand in its log alone: its writer was killed."""
    path = tmp_path_factory.mktemp("left") / "a.duckdb"
    with other(_FOUR_COMMITS, path) as writer:
        assert writer.heard() == "committed"
        writer.process.send_signal(signal.SIGKILL)
        assert writer.end() == -signal.SIGKILL
    return path


@pytest.fixture
def copied(left: Path, tmp_path: Path) -> Path:
    """A copy of it, log and all."""
    path = tmp_path / "a.duckdb"
    path.write_bytes(left.read_bytes())
    log_of(path).write_bytes(log_of(left).read_bytes())
    return path


def _damage(log: Path, at: int, byte: int) -> None:
    damaged = bytearray(log.read_bytes())
    damaged[at] = byte
    log.write_bytes(damaged)


def _replies(path: Path) -> int:
    with Staging.read(path) as staging, staging.cursor() as cursor:
        return len(cursor.execute("select 1 from reply").fetchall())


@pytest.mark.parametrize(
    ("damaged", "offset"),
    [
        (lambda byte: byte ^ 0xFF, 0),
        (lambda byte: byte ^ 0x80, 23),
        (lambda byte: byte ^ 1, 46),
        (lambda _: 0, 69),
    ],
    ids=["all bits", "the highest bit", "the lowest bit", "zero"],
)
def test_a_damaged_byte_is_told_or_does_no_harm(
    damaged: Callable[[int], int], offset: int, left: Path, copied: Path
) -> None:
    """In what the log begins with, in the size of an entry, in what one holds, in the last one."""
    whole = log_of(left).read_bytes()
    first, last = whole.index(whole[-_COMMIT_BYTES:]), len(whole) - _COMMIT_BYTES - _SIZE_BYTES
    assert _replies(left) == REPLIES
    told = []
    inside = range(_HEAD_BYTES + offset, first, 90)  # each kind of damage in other places
    for at in (*range(_HEAD_BYTES), *inside, *range(last, len(whole))):
        log_of(copied).write_bytes(whole)
        _damage(log_of(copied), at, damaged(whole[at]))
        try:
            assert _replies(copied) == REPLIES
        except StagingError as error:
            told.append(str(error))
    assert len(told) > _COMMIT_BYTES
    advice = re.compile("rescue NEW_FILE|another file's log")
    assert [words for words in told if not advice.search(words)] == []


def test_a_log_that_was_cut_short_is_no_damage(left: Path, copied: Path) -> None:
    """As a kill or a power failure leaves it: what was reported as committed is there."""
    whole = log_of(left).read_bytes()
    found = []
    for length in range(0, len(whole), 50):
        log_of(copied).write_bytes(whole[:length])
        found.append(_replies(copied))
    assert found == sorted(found)
    assert set(found) == set(range(REPLIES))
    log_of(copied).write_bytes(whole + bytes(100))
    assert _replies(copied) == REPLIES


def test_nobody_writes_over_what_is_left_out(copied: Path) -> None:
    """A fetch would have written the file without these replies, and removed the log."""
    end = len(log_of(copied).read_bytes())
    _damage(log_of(copied), end - _COMMIT_BYTES - _SIZE_BYTES, 0)  # an entry of no size ends a log
    before = log_of(copied).read_bytes()
    assert "damaged" in str(refusal(copied, read=False))
    assert log_of(copied).read_bytes() == before


def test_the_commits_before_the_damage_are_rescued(left: Path, copied: Path) -> None:
    """The first entry of the third commit says that it is longer than the log."""
    log = log_of(left).read_bytes()
    committed = log[-_COMMIT_BYTES:]
    second = log.index(committed, log.index(committed) + 1)
    _damage(log_of(copied), second + len(committed) + 7, 0xFF)
    assert "damaged" in str(refusal(copied, read=True))
    target = copied.with_name("b.duckdb")
    report = pipeline.rescue(Settings(staging=copied), target, Silent())
    assert (report.replies, report.exit_code) == (2, 3)
    assert stored(target, "select count(*) from body") == [(2,)]


def test_a_log_that_is_being_written_is_no_damaged_one(tmp_path: Path) -> None:
    """Whoever comes meanwhile is told who writes it, whatever the log looks like."""
    path = tmp_path / "a.duckdb"
    with other(_FOUR_COMMITS, path) as writer:
        assert writer.heard() == "committed"
        _damage(log_of(path), 0, 0xFF)
        for read in (True, False):
            assert isinstance(refusal(path, read=read), StagingBusy)
