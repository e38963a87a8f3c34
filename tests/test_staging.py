"""Claims about the staging file itself: making, opening, refusing, surviving."""

import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from kitepipe.errors import StagingBusy, StagingError
from kitepipe.holder import reading, writing
from kitepipe.model import Window
from kitepipe.staging import Staging
from kitepipe.staging_open import DRAFT
from kitepipe.staging_replies import ReplyWriter
from tests.staging_help import API_ROOT, body, candles, commit, refusal, series

DAY = date(2026, 11, 20)


@pytest.fixture(scope="module")
def two_replies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A staging file with two replies, one of them sealed."""
    path = tmp_path_factory.mktemp("staging") / "kitepipe.duckdb"
    with Staging.write(path, API_ROOT) as staging, ReplyWriter(staging, seal_bytes=10) as writer:
        commit(writer, series(), Window(DAY, DAY), candles([DAY]))
    with Staging.write(path, API_ROOT) as staging, ReplyWriter(staging) as writer:
        commit(writer, series(), Window(DAY, DAY), candles([DAY], 101))
    return path


@pytest.fixture
def path(two_replies: Path, tmp_path: Path) -> Path:
    """A copy of it, for one test."""
    return Path(shutil.copy(two_replies, tmp_path))


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that any user can reach (pytest's own are its user's alone)."""
    folder = Path(tempfile.mkdtemp())
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Run the block as one who can only read in `folder`, root or not."""
    folder.chmod(0o555)
    user = os.geteuid()
    try:
        if user == 0:
            os.seteuid(65534)
        yield
    finally:
        os.seteuid(user)


def test_a_new_file_is_made(tmp_path: Path) -> None:
    """Writing makes the file, with its own id, its api root and its age; nothing else is left."""
    path = tmp_path / "new.duckdb"
    with Staging.write(path, API_ROOT) as staging:
        assert len(staging.staging_id) == 36
        assert staging.api_root == API_ROOT
        assert datetime.now(UTC) - staging.created_at < timedelta(minutes=1)
    assert os.listdir(tmp_path) == ["new.duckdb"]


def test_an_old_file_keeps_its_id(path: Path) -> None:
    """Opened again, to write or to read, it is the same file."""
    with Staging.write(path, API_ROOT) as staging:
        first = staging.staging_id
    with Staging.read(path) as staging:
        assert staging.staging_id == first


def test_two_files_have_two_ids(path: Path, tmp_path: Path) -> None:
    """The warehouse tells replies apart by the id: each file has its own."""
    with Staging.read(path) as one, Staging.write(tmp_path / "b.duckdb", API_ROOT) as two:
        assert one.staging_id != two.staging_id


def test_a_draft_of_a_killed_process_is_no_hindrance(tmp_path: Path) -> None:
    """Killed while it made the file, kitepipe leaves a draft at most; the next run goes on."""
    path = tmp_path / "kitepipe.duckdb"
    (tmp_path / f"kitepipe.duckdb{DRAFT}").write_bytes(b"half a file")
    with Staging.write(path, API_ROOT):
        pass
    assert os.listdir(tmp_path) == ["kitepipe.duckdb"]


def test_a_link_to_a_file_yet_to_be_made_is_followed(tmp_path: Path) -> None:
    """A link that stands for a file on another disk is not replaced by a file."""
    path, target = tmp_path / "link", tmp_path / "target"
    path.symlink_to(target)
    with Staging.write(path, API_ROOT):
        pass
    assert path.is_symlink()
    assert target.is_file()


def _foreign(path: Path) -> None:
    path.unlink()
    with duckdb.connect(str(path)) as connection:
        connection.execute("create table price (close double)")


def _foreign_setup(path: Path) -> None:
    path.unlink()
    with duckdb.connect(str(path)) as connection:
        connection.execute("create table setup (answer integer)")


def _change(statement: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with duckdb.connect(str(path)) as connection:
            connection.execute(statement)

    return change


def _overwrite(at: int, size: int) -> Callable[[Path], None]:
    def overwrite(path: Path) -> None:
        raw = bytearray(path.read_bytes())
        raw[at : at + size] = b"\xa5" * size
        path.write_bytes(raw)

    return overwrite


def _cut(size: int) -> Callable[[Path], None]:
    return lambda path: os.truncate(path, size)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


SPOILT = {
    "folder": (_folder, "not a file in an existing folder; name another with 'staging'"),
    "not there, but its log": (
        lambda path: path.rename(path.with_name(path.name + ".wal")),
        "its log kitepipe.duckdb.wal is there without it; bring the file back",
    ),
    "text": (lambda path: path.write_text("no database " * 999), "not a DuckDB file; name"),
    "short": (lambda path: path.write_text("x"), "not a DuckDB file; name another"),
    "empty": (lambda path: path.write_bytes(b""), "not a DuckDB file; name another"),
    "foreign": (_foreign, "a DuckDB file, but not one of this kitepipe; name another"),
    "foreign setup": (_foreign_setup, "a DuckDB file, but not one of this kitepipe; name"),
    "newer": (
        _change("update setup set schema_version = 99"),
        "schema version 99, and this kitepipe knows 4; use the kitepipe that made it",
    ),
    "older": (
        _change("update setup set schema_version = 3; drop table body_sealed"),
        "schema version 3, and this kitepipe knows 4; use the kitepipe that made it",
    ),
    "newer with another setup": (
        _change("alter table setup drop column api_root"),
        "a DuckDB file, but not one of this kitepipe",
    ),
    "no setup row": (_change("delete from setup"), "its setup row is missing"),
    "main header": (_overwrite(20, 3000), "the file is damaged: "),
    "headers": (_overwrite(4096, 8192), "the file is damaged: "),
    "catalog": (_overwrite(12288, 300), "the file is damaged: "),
    "cut in the header": (_cut(100), "the file is damaged: "),
    "cut after the headers": (_cut(12288), "the file is damaged: "),
}


@pytest.mark.parametrize("read", [True, False], ids=["read", "write"])
@pytest.mark.parametrize("what", SPOILT)
def test_a_file_that_cannot_serve_is_refused(path: Path, what: str, read: bool) -> None:
    """Whatever is wrong with the file, the answer is exit 12, which file, and what to do."""
    spoil, words = SPOILT[what]
    spoil(path)
    error = refusal(path, read=read)
    assert not isinstance(error, StagingBusy)
    assert error.exit_code == 12
    assert str(error).startswith(f"staging {path}: {words}")
    assert "; " in str(error)
    assert "\n" not in str(error)


def test_damage_in_any_block_is_told_or_harmless(tmp_path: Path) -> None:
    """Whichever block is spoilt, it is a StagingError at the opening or at the reading, or free."""
    good, path = tmp_path / "good", tmp_path / "kitepipe.duckdb"
    text = body([random.Random(1).randbytes(10**6).hex()])
    with Staging.write(good, API_ROOT) as staging, ReplyWriter(staging, seal_bytes=1) as writer:
        commit(writer, series(), Window(DAY, DAY), text)
    places = [0, 4096, 8192, *range(12288, good.stat().st_size, 262144)]
    outcomes = {}
    for place in places:
        shutil.copy(good, path)
        _overwrite(place + 100, 1000)(path)
        outcomes[place] = _outcome(path)
    assert {"refused", "told late"} <= set(outcomes.values())


def _outcome(path: Path) -> str:
    """Read all of a file that may be damaged; any error but StagingError goes through."""
    opened = False
    try:
        with reading(path, wait=False) as staging, staging.cursor() as cursor:
            opened = True
            for table in ("reply", "chunk", "instrument", "setup", "rebase", "snapshot"):
                cursor.execute(f"from {table}").fetchall()
            cursor.execute("select max(md5(body)) from body").fetchall()
    except StagingError:
        return "told late" if opened else "refused"
    return "harmless"


def test_a_bug_in_a_statement_stays_a_bug(path: Path) -> None:
    """An error that is about a statement is no StagingError: it is to end with a traceback."""
    with pytest.raises(duckdb.CatalogException), reading(path, wait=False) as staging:
        staging.cursor().execute("from nowhere")


def test_another_api_root_is_refused(path: Path) -> None:
    """Replies of a sandbox and of Kite are never mixed in one file."""
    with pytest.raises(StagingError, match=f"holds replies of {API_ROOT}, and api_root is https:"):
        Staging.write(path, "https://api.kite.trade")


def test_readers_need_a_file(tmp_path: Path) -> None:
    """Where there is no file, a reader is told who makes it, and makes none."""
    with pytest.raises(StagingError, match="no such file; 'kitepipe fetch' makes it"):
        Staging.read(tmp_path / "missing")
    assert os.listdir(tmp_path) == []


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    """No folder is made for a mistyped path."""
    error = refusal(tmp_path / "missing" / "file", read=False)
    assert "not a file in an existing folder" in str(error)


def test_a_name_that_cannot_be_is_refused(tmp_path: Path) -> None:
    """A name longer than any file system takes is no traceback."""
    assert "name too long" in str(refusal(tmp_path / ("x" * 300), read=False))


def test_a_read_only_folder_takes_no_new_file(folder: Path) -> None:
    """Where no file can be made, fetch is told so, with the file's name."""
    path = folder / "kitepipe.duckdb"
    with (
        read_only(folder),
        pytest.raises(StagingError, match=r"Permission denied.*see that it and its folder"),
        writing(path, API_ROOT, "fetch", wait=False),
    ):
        pass


def test_a_file_in_a_read_only_folder_can_be_read(path: Path, folder: Path) -> None:
    """Who may only read, reads, without a lock beside the file; who wants to write is told."""
    copy = Path(shutil.copy(path, folder))
    copy.chmod(0o444)
    with read_only(folder):
        with reading(copy, wait=False) as staging:
            assert staging.cursor().execute("select count(*) from reply").fetchall() == [(2,)]
        with (
            pytest.raises(StagingError, match="Permission denied"),
            writing(copy, API_ROOT, "fetch", wait=False),
        ):
            pass
    assert os.listdir(folder) == ["kitepipe.duckdb"]


@pytest.mark.parametrize(("shared", "limit"), [(False, "61.0 MiB"), (True, "114.4 MiB")])
def test_who_only_writes_takes_little_memory_meanwhile(
    tmp_path: Path, shared: bool, limit: str
) -> None:
    """In `run` the loaders parse in the same database, and need some of it."""
    with Staging.write(tmp_path / "s.duckdb", API_ROOT) as staging, staging.cursor() as cursor:
        staging.is_shared = shared

        def memory() -> tuple[str, int]:
            cursor.execute("select current_setting('memory_limit'), current_setting('threads')")
            (row,) = cursor.fetchall()
            return row

        before = memory()
        with suppress(InterruptedError), staging.sparing():
            during = memory()
            raise InterruptedError
        assert memory() == before
        assert during == (limit, 1)
