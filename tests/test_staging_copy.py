"""`staging compact` and `staging backup`: a new file, proven, in one step in its place."""

import stat
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from kitepipe import pipeline
from kitepipe.config import Settings
from kitepipe.errors import StagingBusy, StagingError
from kitepipe.holder import writing
from kitepipe.model import Window
from kitepipe.progress import Silent
from kitepipe.staging import Staging
from kitepipe.staging_open import DRAFT, ROW_GROUP
from tests.archive_help import archive, archiving_hand, stage
from tests.load_help import API_ROOT, Hand, day
from tests.servers import looking
from tests.staging_help import (
    candles,
    commit,
    contents,
    numbered,
    other,
    row_groups,
    series,
    stored,
)


@pytest.fixture(scope="module")
def made_hand(tmp_path_factory: pytest.TempPathFactory) -> Hand:
    """Twelve replies of each of three instruments, sealed and open; nothing is loaded."""
    hand = archiving_hand(tmp_path_factory.mktemp("made"), "")
    stage(hand, 0, 12)
    with Staging.write(hand.settings.staging, API_ROOT) as staging, numbered(staging) as writer:
        commit(writer, series(1), Window(day(70), day(70)), candles([day(70)]))
    return hand


@pytest.fixture
def hand(made_hand: Hand, tmp_path: Path) -> Hand:
    """A copy of it, for one test."""
    return made_hand.moved(tmp_path, "")


def packs(path: Path) -> list[tuple[object, ...]]:
    """Return which bodies are packed together."""
    query = "select list(reply_id order by rowid) from body_sealed group by rowid // 2048"
    return [row for row in stored(path, f"{query} order by 1") if row[0]]


def _compact(settings: Settings) -> tuple[int, int, int]:
    report = pipeline.compact(settings, Silent())
    return report.bytes_before, report.bytes_after, report.replies


def test_a_backup_is_the_same_file(hand: Hand, tmp_path: Path) -> None:
    """Every table, each seal by itself, the same staging_id: it can take its place."""
    path, target = hand.settings.staging, tmp_path / "it's a backup.duckdb"
    report = pipeline.backup(hand.settings, target, Silent())
    assert (report.replies, report.bytes_after) == (37, target.stat().st_size)
    assert contents(target) == contents(path)
    assert len(stored(target, "select distinct first_reply from body_sealed")) == 9
    assert row_groups(target) == {ROW_GROUP}
    assert packs(target) == packs(path)
    compression = (
        "select distinct compression from pragma_storage_info('body_sealed') "
        "where column_name = 'body' and segment_type = 'VARCHAR'"
    )
    assert stored(target, compression) == stored(path, compression) == [("ZSTD",)]
    with Staging.write(target, API_ROOT) as staging, numbered(staging) as writer:
        assert commit(writer, series(1), Window(day(71), day(71)), candles([])) == 38
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        *("a.duckdb", "a.duckdb.lock", "it's a backup.duckdb", "it's a backup.duckdb.lock")
    ]


def test_a_backup_takes_what_a_killed_writer_left_in_the_log(hand: Hand, tmp_path: Path) -> None:
    """The .wal beside the file belongs to it."""
    leave = """
import os
from datetime import date
from tests.staging_help import candles, contents, commit, series
from kitepipe.holder import writing
from kitepipe.model import Window
from tests.staging_help import numbered
with writing(Path(sys.argv[1]), API_ROOT, "fetch", wait=False) as (staging, beat):
    with numbered(staging) as writer:
        day = date(2026, 5, 1)
        commit(writer, series(1), Window(day, day), candles([day]))
        os.kill(os.getpid(), 9)
"""
    with other(leave, hand.settings.staging) as process:
        process.end()
    assert hand.settings.staging.with_name("a.duckdb.wal").exists()
    assert pipeline.backup(hand.settings, tmp_path / "b.duckdb", Silent()).replies == 38
    assert _compact(hand.settings)[2] == 38
    assert contents(hand.settings.staging) == contents(tmp_path / "b.duckdb")


def test_compact_gives_room_back_and_changes_no_row(
    hand: Hand, tmp_path: Path, warehouse_dsn: str
) -> None:
    """After an archive the file is smaller; rights stay, and the next run goes on with it."""
    hand.settings = replace(hand.settings, dsn=warehouse_dsn)
    stage(hand, 100, 25, days=40)
    hand.load()
    archive(hand)
    path = hand.settings.staging
    path.chmod(0o640)
    before, inode = contents(path), path.stat().st_ino
    size, smaller, replies = _compact(hand.settings)
    assert smaller < size
    assert smaller == path.stat().st_size
    assert replies == len(before["body"])
    assert contents(path) == before
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert path.stat().st_ino != inode
    stage(hand, 4000, 2)
    assert (hand.load().new, hand.replay().exit_code) == (30, 0)
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_file()) == [
        "a.duckdb",
        "a.duckdb.lock",
    ]


def test_compact_follows_a_link(hand: Hand, tmp_path: Path) -> None:
    """A link to the file stays one: what it leads to is replaced."""
    link = tmp_path / "link.duckdb"
    link.symlink_to(hand.settings.staging)
    before = contents(hand.settings.staging)
    _compact(replace(hand.settings, staging=link))
    assert link.is_symlink()
    assert contents(hand.settings.staging) == before


@pytest.mark.faults
@pytest.mark.parametrize("linked", [False, True])
def test_nobody_comes_in_while_the_file_is_exchanged(
    hand: Hand, tmp_path: Path, linked: bool
) -> None:
    """Who would write into the old file meanwhile is held off, and told by what; also by a link."""
    at_work = """
from kitepipe.holder import alone
with alone(Path(sys.argv[1]), "compact", wait=False):
    say("alone")
    hear()
"""
    with other(at_work, hand.settings.staging) as process:
        assert process.heard() == "alone"
        with pytest.raises(StagingBusy, match="held by 'kitepipe compact'"):
            pipeline.backup(hand.settings, tmp_path / "b.duckdb", Silent())
        with pytest.raises(StagingBusy, match="held by 'kitepipe compact'"):
            _compact(hand.settings)
        if linked:
            link = tmp_path / "link.duckdb"
            link.symlink_to(hand.settings.staging)
            with (
                pytest.raises(StagingBusy, match="held by 'kitepipe compact'"),
                writing(link, API_ROOT, "fetch", wait=False),
            ):
                pass
        process.tell()
        assert process.end() == 0
    with Staging.read(hand.settings.staging), pytest.raises(StagingBusy):
        _in_another_process(hand.settings.staging)
    _compact(hand.settings)


def _in_another_process(path: Path) -> None:
    """Try to compact a file that this process reads."""
    attempt = """
from kitepipe.holder import alone
from kitepipe.errors import StagingBusy
try:
    with alone(Path(sys.argv[1]), "compact", wait=False):
        say("alone")
except StagingBusy as error:
    say(f"busy: {error}")
"""
    with other(attempt, path) as process:
        if (said := process.heard()).startswith("busy"):
            raise StagingBusy(said)


def test_a_body_that_is_not_what_came_is_not_copied(hand: Hand, tmp_path: Path) -> None:
    """A damaged file is told as such (exit 12): no copy of it takes the place of a good one."""
    with duckdb.connect(str(hand.settings.staging)) as connection:
        connection.execute("update body_sealed set body = body || ' ' where first_reply = 5")
    before = hand.settings.staging.read_bytes()
    for verb in (
        lambda: _compact(hand.settings),
        lambda: pipeline.backup(hand.settings, tmp_path / "b.duckdb", Silent()),
    ):
        with pytest.raises(StagingError, match="4 of the 4 bodies sealed from reply 5 on"):
            verb()
    assert hand.settings.staging.read_bytes() == before
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"a.duckdb", "a.duckdb.lock", "b.duckdb.lock"}


@pytest.mark.parametrize("doubled", [0, 1])
def test_a_missing_body_is_noticed(hand: Hand, doubled: int) -> None:
    """Each reply must have one, in the file or in the archive; another's second is none."""
    with duckdb.connect(str(hand.settings.staging)) as connection:
        connection.execute("delete from body_open")
        if doubled:
            connection.execute("insert into body_open from body where reply_id = 1")
    with pytest.raises(StagingError, match=f"the bodies of {1 + doubled} replies cannot be proven"):
        _compact(hand.settings)


def test_tables_of_a_users_own_are_copied_too(hand: Hand) -> None:
    """Whatever their names are, and in whatever schema."""
    with duckdb.connect(str(hand.settings.staging)) as connection:
        connection.execute('create table "order ""of"" notes" as select 1 as note')
        connection.execute("create schema notes; create table notes.body_sealed as select 2 as n")
    _compact(hand.settings)
    assert stored(hand.settings.staging, 'from "order ""of"" notes"') == [(1,)]
    assert stored(hand.settings.staging, "from notes.body_sealed") == [(2,)]


def test_damage_is_told_of_the_file_that_has_it(hand: Hand, tmp_path: Path) -> None:
    """Not of the copy, which is gone when that is read."""
    path = hand.settings.staging
    with duckdb.connect(str(path), read_only=True) as connection:
        query = "select max(block_id) from pragma_storage_info('body_sealed')"
        ((block,),) = connection.execute(query).fetchall()
    with path.open("r+b") as file:
        file.seek(3 * 4096 + block * 262144 + 100)
        file.write(bytes(2000))
    for verb in (
        lambda: _compact(hand.settings),
        lambda: pipeline.backup(hand.settings, tmp_path / "b.duckdb", Silent()),
    ):
        with pytest.raises(StagingError, match=f"staging {path}: the file is damaged"):
            verb()


def test_a_full_disk_is_told_and_loses_nothing(hand: Hand, tmp_path: Path) -> None:
    """Exit 12 with advice; the file is as it was, and of the copy nothing is left."""
    fill = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from kitepipe import pipeline
from kitepipe.config import Settings
from kitepipe.errors import StagingError
from kitepipe.progress import Silent
resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))
settings = Settings(staging=Path(sys.argv[1]), api_root=API_ROOT)
for verb in (pipeline.compact, lambda *a: pipeline.backup(a[0], Path(sys.argv[2]), a[1])):
    try:
        say(verb(settings, Silent()))
    except StagingError as error:
        say(f"{error.exit_code} {error}")
"""
    before = contents(hand.settings.staging)
    with other(fill, hand.settings.staging, tmp_path / "b.duckdb") as process:
        said = process.process.communicate()[0].splitlines()
    for line, name in zip(said, (f"a.duckdb{DRAFT}", f"b.duckdb{DRAFT}"), strict=True):
        assert line.startswith(f"12 staging {tmp_path / name}: no room left on its disk"), line
        assert line.endswith("; make some")
    assert contents(hand.settings.staging) == before
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"a.duckdb", "a.duckdb.lock", "b.duckdb.lock"}


def test_a_restored_backup_loses_no_later_reply(tmp_path: Path, warehouse_dsn: str) -> None:
    """The warehouse knows replies of the file that was lost: those asked anew are others."""
    hand = Hand(tmp_path / "a.duckdb", warehouse_dsn)
    path, target = hand.settings.staging, tmp_path / "backup.duckdb"
    hand.prices(0, 4, 100)
    hand.load()
    pipeline.backup(hand.settings, target, Silent())
    hand.prices(5, 9, 101, minute=1)
    hand.load()
    target.replace(path)
    hand.prices(5, 14, 102, minute=2)
    assert (hand.load().new, hand.load().replies) == (5, 0)
    with looking(warehouse_dsn) as look:
        closes = look("select close from kite_ohlcv order by date")
    assert closes == [(100.0,)] * 5 + [(102.0,)] * 10
    assert pipeline.verify(hand.settings, Silent()).differing == 0
