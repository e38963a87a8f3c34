"""Claims about one process that has a staging file open more than once."""

from pathlib import Path

import pytest

from kitepipe import pipeline
from kitepipe.config import Settings
from kitepipe.errors import StagingError
from kitepipe.holder import reading, writing
from kitepipe.progress import Silent
from kitepipe.staging import Staging
from tests.staging_help import API_ROOT, other


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A staging file that is there."""
    path = tmp_path / "kitepipe.duckdb"
    Staging.write(path, API_ROOT).close()
    return path


def test_one_of_several_readers_in_a_process_goes_and_the_file_stays_held(path: Path) -> None:
    """Two threads of a scheduler read: a writer elsewhere has to wait for both."""
    write = """
from kitepipe.errors import StagingBusy
for _ in range(2):
    try:
        with writing(Path(sys.argv[1]), API_ROOT, "fetch", wait=False):
            say("in")
    except StagingBusy:
        say("busy")
    hear()
"""
    with reading(path, wait=False) as one:
        with reading(path, wait=False) as two:
            assert one.staging_id == two.staging_id
        pipeline.backup(Settings(staging=path), path.with_name("backup.duckdb"), Silent())
        with other(write, path) as process:
            assert process.heard() == "busy"
            one.close()
            process.tell()
            assert process.heard() == "in"
            process.tell()


def test_a_file_that_took_anothers_place_is_read_itself(path: Path, tmp_path: Path) -> None:
    """A backup that was put back is what the next reader gets, though another has the old one."""
    newer = tmp_path / "newer.duckdb"
    Staging.write(newer, API_ROOT).close()
    with reading(path, wait=False) as old:
        newer.replace(path)
        with reading(path, wait=False) as new:
            assert new.staging_id != old.staging_id


def test_readers_have_the_memory_that_both_need(path: Path) -> None:
    """One that is done with its own does not take the other's away."""
    limit = "select current_setting('memory_limit')"
    with reading(path, wait=False) as one, reading(path, wait=False) as two:
        with one.memory.for_loaders(4):
            with two.memory.for_loaders(4):
                pass
            with two.cursor() as cursor:
                ((left,),) = cursor.execute(limit).fetchall()
        with one.cursor() as cursor:
            ((least,),) = cursor.execute(limit).fetchall()
    assert float(left.split()[0]) > 1.5 * float(least.split()[0])


@pytest.mark.parametrize("wait", [False, True])
def test_who_has_the_file_itself_is_told_and_does_not_wait(path: Path, wait: bool) -> None:
    """A program that has it open for writing would wait for itself (exit 12)."""
    told = "held by this very process; close it first"
    with Staging.write(path, API_ROOT):
        for door in (reading(path, wait=wait), writing(path, API_ROOT, "fetch", wait=wait)):
            with pytest.raises(StagingError, match=told) as raised, door:
                pass
            assert (raised.value.exit_code, type(raised.value)) == (12, StagingError)
