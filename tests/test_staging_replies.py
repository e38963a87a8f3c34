"""Claims about commits and bodies: found again anywhere, at a cost that does not grow."""

import hashlib
import os
import signal
import threading
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitepipe.model import Window
from kitepipe.staging import Staging
from kitepipe.staging_open import ROW_GROUP
from kitepipe.staging_replies import Asked, select_bodies
from kitepipe.staging_series import FIRST_EPOCH
from tests.marks import examples
from tests.staging_help import (
    API_ROOT,
    NOON,
    body,
    candles,
    commit,
    numbered,
    reply,
    row_groups,
    series,
    stored,
)

DAY = date(2026, 11, 20)
WINDOW = Window(DAY, DAY)


@pytest.fixture
def staging(tmp_path: Path) -> Iterator[Staging]:
    """A new staging file."""
    with Staging.write(tmp_path / "kitepipe.duckdb", API_ROOT) as staging:
        yield staging


def seals(staging: Staging) -> int:
    """Return how often bodies were sealed."""
    with staging.cursor() as cursor:
        return len(cursor.execute("select distinct first_reply from body_sealed").fetchall())


def found(staging: Staging, *reply_ids: int) -> list[tuple[int, str]]:
    """Return what select_bodies gives."""
    with staging.cursor() as cursor:
        select_bodies(cursor, reply_ids)
        return cursor.execute("select reply_id, body from staged_body order by 1").fetchall()


def test_a_commit_keeps_all_about_a_reply(staging: Staging) -> None:
    """Body byte for byte, its hash and size, when and how it was asked, which dates it shows."""
    days = [DAY - timedelta(2), DAY]
    text = candles(days) + " \n"
    with numbered(staging) as writer:
        asked = Asked(series(7, oi=True), Window(days[0], DAY), FIRST_EPOCH, NOON, 3)

        assert writer.commit(asked, reply(text), DAY - timedelta(1)) == 1
    with staging.cursor() as cursor:
        row = cursor.execute(
            "select sha256, bytes, rows, first_candle, last_candle, last_settled_candle, "
            "settled_through, fetched_at, http_date, instrument_key, interval, first_date, "
            "last_date, oi, continuous, attempts, error, tradingsymbol, instrument_token, body "
            "from reply join chunk using (chunk_id) join body using (reply_id)"
        ).fetchall()
    noon = NOON.replace(tzinfo=None)
    assert row == [
        (
            *(hashlib.sha256(text.encode()).hexdigest(), len(text), 2, days[0], DAY, days[0]),
            *(DAY - timedelta(1), noon, noon, 7, "day", days[0], DAY, True, False, 3, None),
            *("INFY", 408065, text),
        )
    ]


def test_the_last_settled_candle_is_found_however_old(staging: Staging) -> None:
    """Of ten dates the first three are settled: the third counts, not only the newest are seen."""
    days = [DAY - timedelta(9 - number) for number in range(10)]
    with numbered(staging) as writer:
        commit(writer, series(), Window(days[0], DAY), candles(days), settled=days[2])
    with staging.cursor() as cursor:
        rows = cursor.execute("select last_candle, last_settled_candle from reply").fetchall()
    assert rows == [(DAY, days[2])]


def test_an_interrupt_of_a_commit_spoils_no_other(staging: Staging) -> None:
    """Wherever a signal meets a commit, the writer goes on: as a fetch saves what has come in."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    reported, interrupted, text = [], 0, candles([DAY])
    try:
        with numbered(staging, seal_bytes=10_000) as writer:
            for number in range(60):
                try:
                    # Again after a second: one that comes while an object is finalized is lost.
                    signal.setitimer(signal.ITIMER_REAL, 0.003 + number / 3000, 1.0)
                    while True:
                        reported.append(commit(writer, series(), WINDOW, text))
                except (KeyboardInterrupt, RuntimeError):  # DuckDB makes the one of the other
                    signal.setitimer(signal.ITIMER_REAL, 0)
                    interrupted += 1
                reported.append(commit(writer, series(), WINDOW, text))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert interrupted == 60
    assert {reply_id for reply_id, _ in found(staging, *reported)} == set(reported)


def test_a_failure_is_remembered(staging: Staging) -> None:
    """A window that was asked in vain is a chunk with its error, and no reply."""
    with numbered(staging) as writer:
        writer.commit_failure(Asked(series(), WINDOW, FIRST_EPOCH, NOON, 5), "HTTP 502")
        assert commit(writer, series(), WINDOW, candles([DAY])) == 1
    with staging.cursor() as cursor:
        query = (
            "select chunk_id, attempts, error, reply_id from chunk left join reply using (chunk_id)"
        )
        assert cursor.execute(query + " order by 1").fetchall() == [
            (1, 5, "HTTP 502", None),
            (2, 1, None, 1),
        ]


def test_equal_bodies_are_two_replies(staging: Staging) -> None:
    """Fetched twice, the same bytes are two replies: the later one decides."""
    with numbered(staging) as writer:
        ids = [commit(writer, series(), WINDOW, candles([DAY])) for _ in range(2)]
    assert [reply_id for reply_id, _ in found(staging, *ids)] == [1, 2]


def test_a_reply_that_cannot_be_kept_leaves_nothing(staging: Staging) -> None:
    """One commit or none: chunk, reply and body stand or fall together, and the writer goes on."""
    with numbered(staging) as writer:
        broken = Asked(series(), WINDOW, FIRST_EPOCH, NOON, None)  # type: ignore[arg-type]

        with pytest.raises(duckdb.ConstraintException):
            writer.commit(broken, reply(candles([DAY])), DAY)
        kept = commit(writer, series(), WINDOW, candles([DAY]))
    with staging.cursor() as cursor:
        counts = "select (select count(*) from chunk), (select count(*) from reply)"
        assert cursor.execute(counts).fetchall() == [(1, 1)]
    assert [reply_id for reply_id, _ in found(staging, kept)] == [kept]


@settings(max_examples=examples(15))
@given(sizes=st.lists(st.integers(0, 400), min_size=1, max_size=12), again=st.integers(0, 12))
def test_every_body_is_found_again(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], again: int
) -> None:
    """Open or sealed, by one writer or the next: each body is there once, and in the view too."""
    path = tmp_path_factory.mktemp("seal") / "kitepipe.duckdb"
    texts = {number + 1: body(["ä" * size]) for number, size in enumerate(sizes)}
    with Staging.write(path, API_ROOT) as staging:
        for part in (list(texts)[:again], list(texts)[again:]):
            with numbered(staging, seal_bytes=1000) as writer:
                assert [commit(writer, series(), WINDOW, texts[n]) for n in part] == part
        assert found(staging, *texts) == sorted(texts.items())
        assert found(staging, 1) == [(1, texts[1])]
        assert found(staging) == []
        sealed = seals(staging)
    assert stored(path, "from body order by reply_id") == sorted(texts.items())
    assert sealed == _seals([len(text.encode()) for text in texts.values()], 1000)


def _seals(sizes: list[int], seal_bytes: int) -> int:
    seals = opened = 0
    for size in sizes:
        opened += size
        if opened >= seal_bytes:
            seals, opened = seals + 1, 0
    return seals


def test_the_view_is_right_at_every_moment(staging: Staging) -> None:
    """Whoever opens the file of a killed writer finds all bodies in the view, sealed ones too."""
    with numbered(staging, seal_bytes=200) as writer, staging.cursor() as cursor:
        for number in range(1, 12):
            commit(writer, series(), WINDOW, candles([DAY]))
            assert cursor.execute("select count(*) from body").fetchall() == [(number,)]
    assert seals(staging) == 3


def test_bodies_are_read_while_others_are_sealed(staging: Staging) -> None:
    """In a run, loading reads by cursors of the writer's connection: no seal hides a body."""
    texts = {number: body([f"{number} {'x' * 50}"]) for number in range(1, 121)}
    reported: list[int] = []
    problems: list[object] = []
    done = threading.Event()

    def read(cursor: duckdb.DuckDBPyConnection) -> None:
        while not (done.is_set() or problems):
            wanted = reported[-40:]
            try:
                select_bodies(cursor, wanted)
                rows = cursor.execute("select reply_id, body from staged_body").fetchall()
            except duckdb.Error as error:
                problems.append(error)
                return
            if dict(rows) != {number: texts[number] for number in wanted} or len(rows) > 40:
                problems.append((wanted, rows))

    cursors = [staging.cursor() for _ in range(2)]
    threads = [threading.Thread(target=read, args=[cursor]) for cursor in cursors]
    for thread in threads:
        thread.start()
    with numbered(staging, seal_bytes=500) as writer:
        for number in texts:
            reported.append(commit(writer, series(), WINDOW, texts[number]))
    done.set()
    for thread, cursor in zip(threads, cursors, strict=True):
        thread.join()
        cursor.close()
    assert problems == []
    assert seals(staging) > 9


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="only Linux counts it")
def test_the_cost_of_a_commit_does_not_grow(tmp_path: Path) -> None:
    """Bytes written for thirty replies are the same at the beginning and eight seals later."""
    path = tmp_path / "kitepipe.duckdb"
    written: list[int] = []
    with (
        Staging.write(path, API_ROOT) as staging,
        numbered(staging, seal_bytes=300_000) as writer,
    ):
        text = body([os.urandom(5_000).hex()])
        for _ in range(8):
            before = _bytes_written()
            for _ in range(30):
                commit(writer, series(), WINDOW, text)
            written.append(_bytes_written() - before)
    assert max(written[5:]) < 1.3 * max(written[:3])
    assert row_groups(path) == {ROW_GROUP}
    assert stored(path, "select count(distinct first_reply), count(*) from body_sealed") == [
        (8, 8 * ROW_GROUP)
    ]


def _bytes_written() -> int:
    """Return what this process has handed to the system, in bytes (Linux)."""
    rows = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(rows["wchar"])


def test_instants_are_kept_in_utc(staging: Staging) -> None:
    """Instants go in and come out in UTC, whatever zone they were told in."""
    ist = datetime.fromisoformat("2026-11-23T12:00:00+05:30")
    with numbered(staging) as writer:
        commit(writer, series(), WINDOW, candles([DAY]), fetched_at=ist)
    with staging.cursor() as cursor:
        rows = cursor.execute("select fetched_at from reply").fetchall()
    assert rows == [(NOON.replace(tzinfo=None),)]
