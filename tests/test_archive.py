"""Archived replies are read as if they were still in the staging file, or missed by name."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitepipe import pipeline
from kitepipe.errors import StagingError
from kitepipe.model import Interval, Window
from kitepipe.progress import Silent
from kitepipe.sql import load
from kitepipe.staging import Cursor, Staging, naive
from kitepipe.staging_archive import archivable
from kitepipe.staging_open import ROW_GROUP
from kitepipe.staging_series import FIRST_EPOCH, key_of, select_known
from tests.archive_help import SYMBOLS, archive, archiving_hand, files, in_archive, in_file, stage
from tests.load_help import API_ROOT, Hand, candles, day, footprint, with_schema
from tests.marks import examples
from tests.servers import Look, looking
from tests.staging_help import NOON, body, commit, numbered, row_groups, series, stored
from tests.staging_help import candles as day_candles


def make_hand(folder: Path, dsn: str) -> Hand:
    """Twelve replies of each of three instruments, sealed and loaded."""
    hand = archiving_hand(folder, dsn)
    stage(hand, 0, 12)
    assert hand.load().new == 3 * 60
    return hand


def test_load_replay_and_verify_read_archived_replies(
    hand: Hand, look: Look, plain_dsn: str
) -> None:
    """Nothing changes for them: a load writes nothing, a replay fills another database alike."""
    everything, before = in_file(hand.settings.staging), footprint(look)
    report = archive(hand)
    assert (report.exit_code, report.files, len(files(hand))) == (0, 1, 1)
    assert report.replies == len(in_archive(hand.settings.staging)) == 33
    assert in_file(hand.settings.staging) == everything - in_archive(hand.settings.staging)
    assert report.freed > 0
    assert row_groups(hand.settings.staging) == {ROW_GROUP}
    assert stored(hand.settings.staging, "select count(*) from body_sealed") == [(ROW_GROUP,)]

    assert (hand.load().replies, hand.replay().equal) == (0, 180)
    assert footprint(look) == before
    verified = pipeline.verify(hand.settings, Silent())
    assert (verified.candles, verified.differing, verified.exit_code) == (180, 0, 0)
    assert hand.replay(dsn=with_schema(plain_dsn)).new == 180
    with looking(plain_dsn) as other:
        assert candles(other) == candles(look)
    assert archive(hand).replies == 0


def test_only_what_the_database_has_goes(hand: Hand) -> None:
    """A reply that is not loaded stays where it is, whatever was archived before and after it."""
    stage(hand, 60, 2)
    unloaded = in_file(hand.settings.staging) - set(range(1, 37))
    archive(hand)
    assert in_file(hand.settings.staging) == unloaded
    hand.load()
    archive(hand)
    assert len(in_archive(hand.settings.staging) & unloaded) == 3
    assert len(in_file(hand.settings.staging)) == 3


def test_a_dry_run_tells_the_same_and_moves_nothing(hand: Hand) -> None:
    """It names replies, bytes and room; the file stays as it is, byte for byte."""
    before = hand.settings.staging.read_bytes()
    told = archive(hand, dry_run=True)
    assert hand.settings.staging.read_bytes() == before
    assert not hand.settings.archive.exists()
    done = archive(hand)
    assert (told.replies, told.bytes, told.files) == (done.replies, done.bytes, done.files)
    assert min(told.file_bytes, told.freed, told.disk_free, done.file_bytes) > 0
    assert "nothing was moved" in told.warnings[0]


def test_the_parquet_files_can_be_read_by_anybody(hand: Hand) -> None:
    """Each row tells what it is: whose reply, to which window, of which staging file."""
    archive(hand)
    (file,) = files(hand)
    query = (
        "select exchange, tradingsymbol, interval, first_date, last_date, count(distinct "
        f"staging_id), bool_and(sha256(body) = sha256) from read_parquet('{_glob(file)}') "
        "group by all order by all limit 1"
    )
    expected = ("NSE", "INFY", "day", day(0), day(4), 1, True)
    assert stored(hand.settings.staging, query) == [expected]


def _refused(hand: Hand, dsn: str) -> tuple[set[str], str]:
    """Replay into an empty database: return which series failed, and why."""
    report = hand.replay(dsn=dsn)
    assert report.exit_code == (3 if report.failures else 0)
    assert report.series == 3 - len(report.failures)
    return {f.what for f in report.failures}, "".join({f.why for f in report.failures})


def test_a_series_whose_file_is_missing_is_refused_by_name_and_the_rest_goes_on(
    tmp_path: Path, warehouse_dsn: str, look: Look
) -> None:
    """The message names the file; load and verify go on with the others, and mend it later."""
    hand = archiving_hand(tmp_path, warehouse_dsn)
    for n in range(9):
        _one(hand, "INFY", n)
    hand.load()
    archive(hand)
    (gone,) = files(hand)
    stage(hand, 60, 3)
    hand.load()
    whole = candles(look)
    gone.rename(tmp_path / "elsewhere")
    proof = pipeline.verify(hand.settings, Silent())
    assert [(f.what, str(gone) in f.why) for f in proof.failures] == [("NSE:INFY day", True)]
    assert (proof.series, proof.differing, proof.exit_code) == (2, 0, 3)

    look("truncate kite_ohlcv_historic, kite_load_ledger, kite_series")
    failed, why = _refused(hand, warehouse_dsn)
    assert failed == {"NSE:INFY day"}
    assert str(gone) in why
    assert "bring the file back, or name its folder with 'archive'" in why
    assert {row[1] for row in candles(look)} == {"SBIN", "TCS"}
    proof = pipeline.verify(hand.settings, Silent())
    assert [("not loaded yet" in f.why, f.what) for f in proof.failures] == [(True, "NSE:INFY day")]
    assert (proof.series, proof.differing, proof.exit_code) == (3, 0, 3)

    (tmp_path / "elsewhere").rename(gone)
    hand.load()
    assert candles(look) == whole


def _one(hand: Hand, symbol: str, number: int) -> None:
    """Stage one reply to one day, sealed alone."""
    with (
        Staging.write(hand.settings.staging, API_ROOT) as staging,
        numbered(staging, seal_bytes=1) as writer,
    ):
        text = day_candles([day(number)])
        commit(writer, hand.series(staging, symbol), Window(day(number), day(number)), text)


@pytest.mark.parametrize("damage", ["truncated", "garbage", "empty", "another", "flipped"])
def test_a_file_that_holds_something_else_is_not_believed(
    hand: Hand, module_plain_dsn: str, damage: str
) -> None:
    """Whatever became of it: no candle comes of it, and the message names it."""
    archive(hand)
    (file,) = files(hand)
    whole = file.read_bytes()
    middle = len(whole) // 3
    file.write_bytes(
        {
            "truncated": whole[:middle],
            "garbage": b"no Parquet at all" * 100,
            "empty": b"",
            "another": whole,
            "flipped": whole[:middle]
            + bytes(b ^ 255 for b in whole[middle:][:50])
            + whole[middle + 50 :],
        }[damage]
    )
    if damage == "another":
        other = file.parent.parent / "other.parquet"
        wrong = f"select * replace ('x' as body) from read_parquet('{_glob(file)}')"
        file.write_bytes(whole)
        stored(hand.settings.staging, f"copy ({wrong}) to '{other}'")
        other.replace(file)
    with_schema(module_plain_dsn)
    with looking(module_plain_dsn) as look:
        look("truncate kite_ohlcv_historic, kite_load_ledger, kite_series, kite_quarantine")
        failed, why = _refused(hand, module_plain_dsn)
        assert failed == {f"NSE:{symbol} day" for symbol in SYMBOLS}
        assert str(file) in why
        assert candles(look) == []
    file.write_bytes(whole)
    assert _refused(hand, module_plain_dsn) == (set(), "")


def _glob(file: Path) -> str:
    return str(file).replace("[", "[[]").replace("*", "[*]")


def test_what_is_new_is_loaded_without_the_archive(hand: Hand, tmp_path: Path) -> None:
    """Only bodies that a load has to parse are read: those of a year before may be far away."""
    archive(hand)
    hand.settings.archive.rename(tmp_path / "far away")
    stage(hand, 60, 2)
    report = hand.load()
    assert (report.new, report.exit_code) == (30, 0)


def test_an_archive_that_has_moved_is_found_by_the_setting(hand: Hand, tmp_path: Path) -> None:
    """Files are known by their names: the folder is where the setting says."""
    archive(hand)
    hand.settings.archive.rename(tmp_path / "other")
    assert hand.replay().exit_code == 3
    assert hand.replay(archive=tmp_path / "other").equal == 180


def test_a_folder_that_cannot_be_made_is_told(hand: Hand, tmp_path: Path) -> None:
    """Exit 12 with advice, and everything stays in staging."""
    (tmp_path / "file").write_text("")
    everything = in_file(hand.settings.staging)
    with pytest.raises(StagingError, match="name another folder with 'archive'") as caught:
        pipeline.archive(replace(hand.settings, archive=tmp_path / "file" / "x"), Silent())
    assert caught.value.exit_code == 12
    assert in_file(hand.settings.staging) == everything


WINDOWS = st.tuples(st.integers(1, 3), st.integers(0, 12), st.integers(1, 5), st.integers(-1, 4))


@settings(max_examples=examples(25))
@given(replies=st.lists(WINDOWS, min_size=1, max_size=15))
def test_what_the_next_fetch_compares_with_is_never_archived(
    tmp_path_factory: pytest.TempPathFactory, replies: list[tuple[int, int, int, int]]
) -> None:
    """Whatever windows came in whatever order, settled or not, empty or not: it stays."""
    path = tmp_path_factory.mktemp("pin") / "a.duckdb"
    with Staging.write(path, API_ROOT) as staging:
        with numbered(staging, seal_bytes=1) as writer:
            for key, first, days, shown in replies:
                window = Window(day(first), day(first + days - 1))
                text = day_candles(day(first + n) for n in range(min(shown, days)))
                commit(writer, series(key), window, text, settled=day(first + days - 2))
        with staging.cursor() as cursor:
            ids = [n + 1 for n in range(len(replies))]
            batches = archivable(cursor, {"reply_id": np.array(ids, dtype=np.int64)})
            moved = {reply_id for batch in batches for reply_id in batch.reply_ids}
            known = select_known(cursor, oi=False)
            keys = {key for key, *_ in replies}
            sessions = {key: known[key_of(series(key))].known.last_session for key in keys}
            kept = {_reference(cursor, key, session) for key, session in sessions.items()}
    assert set(ids) - moved == kept - {None}


def _reference(cursor: Cursor, key: int, session: date | None) -> int | None:
    row = cursor.execute(
        load("staging_select_reference"),
        {
            "instrument_key": key,
            "interval": "day",
            "continuous": False,
            "session": session,
            "epoch": naive(FIRST_EPOCH),
        },
    ).fetchone()
    return row[0] if row else None


def test_what_stays_of_a_seal_is_read_body_by_body(tmp_path: Path, warehouse_dsn: str) -> None:
    """Bodies of real size that are not loaded yet stand beside loaded ones: each keeps its pack.

    zstd unpacks 2,048 rows to read one: were they all bodies, no memory would do.
    """

    def minutes(number: int) -> str:
        return body(
            [
                [f"{day(7 * number + n)}T{m // 60:02}:{m % 60:02}:00+0530", 100, 100, 100, 100, m]
                for n in range(7)
                for m in range(1440)
            ]
        )

    hand = archiving_hand(tmp_path, warehouse_dsn)
    path = hand.settings.staging
    for symbol, replies in (("INFY", 6), ("SBIN", 12)):
        with Staging.write(path, API_ROOT) as staging, numbered(staging, 6_000_000) as writer:
            of = hand.series(staging, symbol, Interval.MINUTE)
            for number in range(replies):
                window = Window(day(7 * number), day(7 * number + 6))
                commit(writer, of, window, minutes(number), fetched_at=NOON)
        if symbol == "INFY":
            assert hand.load().replies == 6
    assert archive(hand).replies == 5
    packs = stored(path, "select sum(length(body)) from body_sealed group by rowid // 2048")
    assert len([size for (size,) in packs if size]) > 2
    assert max(size or 0 for (size,) in packs) < 2_000_000
    assert (hand.load().replies, hand.load().replies) == (12, 0)
