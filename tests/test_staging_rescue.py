"""A staging file with damaged bytes: told as such, and what can be read of it is saved."""

import os
import random
from pathlib import Path

import duckdb
import pytest

from kitepipe import pipeline, staging_open, staging_rescue
from kitepipe.config import Settings
from kitepipe.errors import StagingError
from kitepipe.model import Window
from kitepipe.progress import Silent
from kitepipe.staging import Staging
from kitepipe.staging_open import log_of
from tests.archive_help import archive, in_file, loaded_hand
from tests.load_help import API_ROOT, Hand, candle, day
from tests.servers import looking
from tests.staging_help import body, commit, numbered, other, stored

pytestmark = pytest.mark.faults

REPLIES = 60


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty replies of 100 KB, in a dozen seals and open ones."""
    path = tmp_path_factory.mktemp("whole") / "a.duckdb"
    hand = Hand(path, "", ("INFY", "SBIN", "TCS"))
    with Staging.write(path, API_ROOT) as staging, numbered(staging, 500_000) as writer:
        for number in range(REPLIES):
            noise = random.Random(number).randbytes(50_000).hex()
            on = day(number)
            series = hand.series(staging, hand.symbols[number % 3])
            commit(writer, series, Window(on, on), body([candle(on), noise]))
    return path


def _settings(path: Path) -> Settings:
    return Settings(api_root=API_ROOT, staging=path)


def _bodies(path: Path) -> dict[int, str]:
    return dict(stored(path, "select reply_id, body from reply join body using (reply_id)"))


def _damaged(whole: Path, folder: Path, seed: int) -> Path:
    """Return a copy in which some bytes somewhere behind the headers are others."""
    draw = random.Random(seed)
    data = bytearray(whole.read_bytes())
    for _ in range(draw.randint(1, 3)):
        at = draw.randrange(3 * 4096, len(data) - 64)
        data[at : at + 64] = draw.randbytes(64)
    path = folder / "a.duckdb"
    path.write_bytes(data)
    return path


def test_a_file_without_damage_is_rescued_whole(whole: Path, tmp_path: Path) -> None:
    """Nothing is lost, and it can take the other's place."""
    report = pipeline.rescue(_settings(whole), tmp_path / "b.duckdb", Silent())
    assert (report.replies, report.failures, report.exit_code) == (REPLIES, [], 0)
    assert _bodies(tmp_path / "b.duckdb") == _bodies(whole)


@pytest.mark.parametrize("first", range(0, 20, 5))
def test_whatever_bytes_are_damaged_what_can_be_read_is_saved(
    first: int, whole: Path, tmp_path: Path
) -> None:
    """Every reply saved is what Kite sent; the rest is lost with its row, or nothing is told."""
    everything, kept = _bodies(whole), []
    for seed in range(first, first + 5):
        folder = tmp_path / str(seed)
        folder.mkdir()
        path = _damaged(whole, folder, seed)
        before, target = path.read_bytes(), folder / "b.duckdb"
        try:
            report = pipeline.rescue(_settings(path), target, Silent())
        except StagingError:  # what all else hangs on cannot be read
            assert not target.exists()
        else:
            saved = _bodies(target)
            assert saved.items() <= everything.items()
            assert stored(target, "select count(*) from reply") == [(len(saved),)]
            assert (report.replies, report.exit_code) == (len(saved), 3 * (len(saved) < REPLIES))
            pipeline.compact(_settings(target), Silent())
            kept.append(len(saved))
        assert path.read_bytes() == before
        assert list(folder.glob("*draft*")) == []
    assert sum(kept) > 2 * REPLIES, "of five files most are saved, and most of each"


def _with_log(whole: Path, folder: Path) -> Path:
    """Return a copy whose last two replies stand in the log alone, as a killed writer leaves it."""
    path = folder / "a.duckdb"
    path.write_bytes(whole.read_bytes())
    leave = """
import os
from datetime import date
from tests.staging_help import candles, commit, series
from kitepipe.holder import writing
from kitepipe.model import Window
from tests.staging_help import numbered
with writing(Path(sys.argv[1]), API_ROOT, "fetch", wait=False) as (staging, beat):
    with numbered(staging) as writer:
        for day in (date(2027, 5, 1), date(2027, 5, 2)):
            commit(writer, series(1), Window(day, day), candles([day]))
        os.kill(os.getpid(), 9)
"""
    with other(leave, path) as process:
        process.end()
    assert log_of(path).exists()
    return path


@pytest.mark.parametrize(("damaged_at", "replies"), [(None, 62), (0.95, 61), (0.25, 60)])
def test_the_log_is_read_and_left_alone(
    damaged_at: float | None, replies: int, whole: Path, tmp_path: Path
) -> None:
    """What stands in it is saved; where it is damaged, what was committed before that."""
    path = _with_log(whole, tmp_path)
    path.chmod(0o600)
    if damaged_at is not None:
        log = bytearray(log_of(path).read_bytes())
        at = int(len(log) * damaged_at)
        log[at : at + 64] = random.Random(1).randbytes(64)
        log_of(path).write_bytes(log)
    before = (path.read_bytes(), log_of(path).read_bytes())
    target = tmp_path / "b.duckdb"
    report = pipeline.rescue(_settings(path), target, Silent())
    assert (report.replies, report.exit_code) == (replies, 0 if damaged_at is None else 3)
    assert (path.read_bytes(), log_of(path).read_bytes()) == before
    assert target.stat().st_mode & 0o777 == 0o600
    assert sorted(file.name for file in tmp_path.iterdir() if file.suffix == ".source") == []


@pytest.mark.parametrize("version", [2, 3, 99])
def test_a_file_of_another_version_is_refused(version: int, whole: Path, tmp_path: Path) -> None:
    """What is not understood is not saved by halves (exit 12)."""
    path, target = tmp_path / "a.duckdb", tmp_path / "b.duckdb"
    path.write_bytes(whole.read_bytes())
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"update setup set schema_version = {version}")
        connection.execute("drop view body; drop table body_sealed")
    with pytest.raises(StagingError, match=f"schema version {version}, and this kitepipe knows 4"):
        pipeline.rescue(_settings(path), target, Silent())
    assert not target.exists()


def test_what_an_archive_left_is_rescued(tmp_path: Path, plain_dsn: str) -> None:
    """Seals need not follow each other: of two damaged ones each keeps what is its own."""
    hand = loaded_hand(tmp_path, plain_dsn, 4)
    path = hand.settings.staging
    with looking(plain_dsn) as look:
        look("delete from kite_load_ledger where reply_id between 4 and 8")
    archive(hand)
    seals = (
        "select first_reply, list(reply_id order by reply_id) from body_sealed "
        "where reply_id is not null group by all order by all"
    )
    assert stored(path, seals) == [(4, [4, 10, 11, 12]), (5, [5, 6, 7, 8])]
    with duckdb.connect(str(path)) as connection:
        connection.execute("update body_sealed set body = body || ' ' where reply_id in (4, 6)")
    report = pipeline.rescue(hand.settings, tmp_path / "b.duckdb", Silent())
    assert (report.replies, report.failures[0].why[:13]) == (6, "2 cannot be r")
    (tmp_path / "b.duckdb").replace(path)
    assert in_file(path) == {5, 7, 8, 10, 11, 12}
    assert pipeline.compact(hand.settings, Silent()).replies == 6
    assert report.warnings[0].startswith("4 more replies stand in the archive")


def test_a_second_body_of_a_reply_is_left_behind(whole: Path, tmp_path: Path) -> None:
    """A copy refuses such a file, and what was rescued of it can be copied again."""
    path, target = tmp_path / "a.duckdb", tmp_path / "b.duckdb"
    path.write_bytes(whole.read_bytes())
    with duckdb.connect(str(path)) as connection:
        connection.execute("insert into body_open from body where reply_id = 1")
    with pytest.raises(StagingError, match="the bodies of 1 replies cannot be proven"):
        pipeline.compact(_settings(path), Silent())
    report = pipeline.rescue(_settings(path), target, Silent())
    assert (report.replies, report.exit_code) == (REPLIES, 0)
    assert pipeline.compact(_settings(target), Silent()).replies == REPLIES
    assert _bodies(target) == _bodies(whole)


def test_damage_in_what_tells_where_bodies_are_costs_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many row groups some cannot be found any more, the rest is saved."""
    monkeypatch.setattr(staging_open, "ROW_GROUP", 2048)
    monkeypatch.setattr(staging_rescue, "ROW_GROUP", 2048)
    path, target, groups = tmp_path / "a.duckdb", tmp_path / "b.duckdb", 1400
    with Staging.write(path, API_ROOT) as staging, staging.cursor() as cursor:
        cursor.execute("set threads = 1")
        cursor.execute(_MANY_ROW_GROUPS, {"groups": groups})
        cursor.execute(_THEIR_REPLIES)
        cursor.execute("checkpoint")
        blocks = [row[0] for row in cursor.execute("from pragma_metadata_info()").fetchall()]
    whole = path.read_bytes()
    for block in blocks:
        at = 3 * 4096 + block * 262144 + 5000
        path.write_bytes(whole[:at] + b"\xff" * 64 + whole[at + 64 :])
        try:
            report = pipeline.rescue(_settings(path), target, Silent())
        except StagingError:  # what all else hangs on is in that block too
            assert not target.exists()
        else:
            if groups // 4 < report.replies < groups:
                return
            target.unlink()
    pytest.fail("no block holds a part of it alone")


_MANY_ROW_GROUPS = """
insert into body_sealed
select 1 + n // 2048, if(n % 2048 = 0, 1 + n // 2048, null), if(n % 2048 = 0, 'body ' || n, null)
from range(2048 * $groups) as t(n)
"""
_THEIR_REPLIES = """
insert into reply
select
    reply_id, reply_id, sha256(body), strlen(body), null, timestamp '2026-01-01', 0, null, null,
    null, date '2026-01-01', [], []
from body_sealed
where reply_id is not null
"""


@pytest.mark.parametrize("here", [False, True])
def test_a_file_that_is_being_written_is_no_damaged_one(
    here: bool, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By another process or by this one, with a log beside it, and onto another disk: exit 12."""
    path, target = tmp_path / "a.duckdb", tmp_path / "b.duckdb"
    path.write_bytes(whole.read_bytes())
    monkeypatch.setattr(os, "link", None)  # as on another disk, where there is no second name
    write = """
with writing(Path(sys.argv[1]), API_ROOT, "fetch", wait=False) as (staging, beat):
    with staging.cursor() as cursor:
        cursor.execute("create table mine as select 1")
    say("held")
    hear()
"""
    with Staging.write(path, API_ROOT) if here else other(write, path) as holder:
        if isinstance(holder, Staging):
            with holder.cursor() as cursor:
                cursor.execute("create table mine as select 1")
        else:
            assert holder.heard() == "held"
        assert log_of(path).exists()
        with pytest.raises(StagingError, match=f"{path}: held by") as raised:
            pipeline.rescue(_settings(path), target, Silent())
    assert raised.value.exit_code == 12
    assert not target.exists()


def test_a_damaged_body_costs_its_neighbours_at_most(whole: Path, tmp_path: Path) -> None:
    """Bytes in four places amid the file: what is packed with it is lost, the rest is saved."""
    data = bytearray(whole.read_bytes())
    for tenth in (3, 4, 5, 6):  # bodies are most of the file; some of it may be free
        at = len(data) * tenth // 10
        data[at : at + 64] = bytes(64)
    (tmp_path / "a.duckdb").write_bytes(data)
    report = pipeline.rescue(_settings(tmp_path / "a.duckdb"), tmp_path / "b.duckdb", Silent())
    assert REPLIES - 4 * 5 <= report.replies < REPLIES
    assert report.failures[0].why.endswith("fetch asks for them again")
