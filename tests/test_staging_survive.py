"""Claims about what a staging file survives: a full disk, a writer killed at any instant."""

from datetime import date
from pathlib import Path

import pytest

from kitepipe.holder import reading
from kitepipe.model import Window
from kitepipe.staging import Staging
from tests.staging_help import API_ROOT, candles, commit, numbered, other, series, stored

DAY = date(2026, 11, 20)
COMMITS = """
from datetime import date, timedelta
from tests.staging_help import candles, commit, series
from kitepipe.model import Window
from tests.staging_help import numbered
with writing(Path(sys.argv[1]), API_ROOT, "fetch", wait=False) as (staging, beat):
    with numbered(staging, seal_bytes=1000) as writer:
        for number in range(int(sys.argv[2])):
            day = date(2000, 1, 1) + timedelta(number)
            say(commit(writer, series(), Window(day, day), candles([day])))
        LAST
"""


def test_a_full_disk_is_told_and_loses_nothing(tmp_path: Path) -> None:
    """When the disk takes no more, the run ends with exit 12, and what was committed is there."""
    path = tmp_path / "kitepipe.duckdb"
    fill = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from tests.staging_help import body, commit, series
from kitepipe.errors import StagingError
from kitepipe.model import Window
from tests.staging_help import numbered
from datetime import date
import random
try:
    with writing(Path(sys.argv[1]), API_ROOT, "fetch", wait=False) as (staging, beat):
        resource.setrlimit(resource.RLIMIT_FSIZE, (4_000_000, 4_000_000))
        with numbered(staging, seal_bytes=1_000_000) as writer:
            day = date(2026, 1, 1)
            while True:
                text = body([random.randbytes(100_000).hex()])
                say(commit(writer, series(), Window(day, day), text))
except StagingError as error:
    say(error)
"""
    with other(fill, path) as process:
        said = process.process.communicate()[0].splitlines()
    *committed, last = said
    assert f"staging {path}: no room left on its disk" in last
    assert len(committed) > 3
    found = stored(path, "select reply_id from body where length(body) > 200_000 order by 1")
    assert found[: len(committed)] == [(int(reply_id),) for reply_id in committed]


@pytest.mark.parametrize("most", [13_000, 100_000])
def test_a_file_that_finds_no_room_is_not_made(tmp_path: Path, most: int) -> None:
    """Of the name that it was to have there is nothing, and with room the next run makes it."""
    path = tmp_path / "kitepipe.duckdb"
    make = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from kitepipe.errors import StagingError
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
try:
    Staging.write(Path(sys.argv[1]), API_ROOT).close()
except StagingError as error:
    say(error)
"""
    with other(make, path, most) as process:
        said = process.heard()
    assert said.startswith(f"staging {path}: no room left on its disk")
    assert not path.exists()
    Staging.write(path, API_ROOT).close()


@pytest.mark.parametrize("death", ["os._exit(9)", "os.kill(os.getpid(), 9)"])
def test_a_killed_writer_leaves_all_that_it_committed(tmp_path: Path, death: str) -> None:
    """Killed at any instant: all replies are there, read-only at once, and the next run goes on."""
    path = tmp_path / "kitepipe.duckdb"
    with other(COMMITS.replace("LAST", death), path, 25) as process:
        said = process.process.communicate()[0].split()
    assert said == [str(number) for number in range(1, 26)]
    assert path.with_name(path.name + ".wal").stat().st_size > 0
    query = (
        "select reply_id, body is not null from reply left join body using (reply_id) order by 1"
    )
    expected = [(number, True) for number in range(1, 26)]
    assert stored(path, query) == expected
    with reading(path, wait=False) as staging:
        assert staging.cursor().execute(query).fetchall() == expected
    with Staging.write(path, API_ROOT) as staging, numbered(staging) as writer:
        assert commit(writer, series(), Window(DAY, DAY), candles([DAY])) == 26
    assert stored(path, query) == [*expected, (26, True)]


def test_a_writer_killed_at_random_loses_no_reported_reply(tmp_path: Path) -> None:
    """What was reported as committed is on disk, whenever the process died."""
    path = tmp_path / "kitepipe.duckdb"
    with other(COMMITS.replace("LAST", "pass"), path, 10_000) as process:
        for _ in range(40):
            reported = int(process.heard())
        process.process.kill()
        process.end()
    ids = [row[0] for row in stored(path, "select reply_id from body order by reply_id")]
    assert ids == list(range(1, len(ids) + 1))
    assert len(ids) >= reported
