"""Replies of full size that are not of Kite's plain form: they take memory, and are loaded."""

import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kitepipe import pipeline
from kitepipe.model import Interval, Window
from kitepipe.progress import Silent
from kitepipe.staging import Staging
from kitepipe.staging_candles import CandleParser
from kitepipe.staging_replies import ReplyWriter
from tests.load_help import API_ROOT, Hand, day
from tests.servers import Look
from tests.staging_help import body, commit

pytestmark = pytest.mark.faults

SESSIONS, MINUTES = 41, 375  # of a window of 60 days: 15,375 candles, 1 MB
OPENS = [f"{9 + (15 + m) // 60:02}:{(15 + m) % 60:02}:00+0530" for m in range(MINUTES)]
NAMES = ("date", "open", "high", "low", "close", "volume")


def _window(first: int, sessions: int = SESSIONS) -> list[list[Any]]:
    days = [day(first + n).isoformat() for n in range(sessions)]
    return [[f"{on}T{at}", 1234.5, 1240.05, 1230, 1236, 99] for on in days for at in OPENS]


@pytest.mark.parametrize(
    "form",
    ["one bad candle in each reply", "objects", "a broken rule in each reply"],
)
def test_replies_of_full_size_in_any_form_are_loaded_in_the_memory_of_a_load(
    form: str, tmp_path: Path, warehouse_dsn: str, look: Look
) -> None:
    """Eight of them in a series, twice at the same time; then again, where all of it is known."""
    hand = Hand(tmp_path / "a.duckdb", warehouse_dsn, ("INFY", "SBIN"))
    for symbol in hand.symbols:
        for number in range(8):
            rows: list[Any] = _window(60 * number)
            if form == "objects":
                rows = [dict(zip(NAMES, row, strict=True)) for row in rows]
            else:
                rows[7][1] = "x" if form.startswith("one") else 9999
            first = 60 * number
            hand.reply(first, first + 59, rows, symbol=symbol, interval=Interval.MINUTE)
    bad = 0 if form == "objects" else 16
    good = 16 * SESSIONS * MINUTES - bad
    report = hand.load()
    assert (report.new, report.quarantined, report.failures) == (good, bad, [])
    assert look("select count(*) from kite_ohlcv_historic") == [(good,)]
    again = hand.replay()
    assert (again.new, again.changed, again.gone, again.failures) == (0, 0, 0, [])


def test_many_loaders_have_the_memory_that_they_need(
    tmp_path: Path, warehouse_dsn: str, look: Look
) -> None:
    """Four at once on replies of full size, each with a series of its own."""
    hand = Hand(tmp_path / "a.duckdb", warehouse_dsn, ("INFY", "SBIN", "TCS", "ITC"))
    for symbol in hand.symbols:
        _stage(hand, symbol, 5)
    report = hand.load(load_workers=4)
    assert (report.new, report.failures) == (20 * SESSIONS * MINUTES, [])
    assert hand.replay(load_workers=4).equal == report.new


def test_many_replies_of_middle_size_are_read_by_one_at_a_time(tmp_path: Path) -> None:
    """None is sealed yet: whoever reads one has them all in memory, 15 MB, and 6 MB packed."""
    hand, draw = Hand(tmp_path / "a.duckdb", "", ("INFY",)), random.Random(0)
    with Staging.write(hand.settings.staging, API_ROOT) as staging, ReplyWriter(staging) as writer:
        series = hand.series(staging, "INFY", Interval.MINUTE)
        for number in range(192):
            rows = [[row[0], *draw.choices(range(10**6), k=5)] for row in _window(3 * number, 3)]
            commit(writer, series, Window(day(3 * number), day(3 * number + 2)), body(rows))
    with Staging.read(hand.settings.staging) as staging, ThreadPoolExecutor(4) as threads:
        with staging.cursor() as cursor:
            ids = [row[0] for row in cursor.execute("select reply_id from reply").fetchall()]

        def read(first: int) -> None:
            with closing(CandleParser(staging)) as parser:
                for _ in range(10):
                    parser.keep_bodies(ids[first::4])

        assert list(threads.map(read, range(4))) == [None] * 4


def test_archived_replies_of_full_size_are_read_by_two_at_once(
    tmp_path: Path, warehouse_dsn: str
) -> None:
    """Parquet takes more memory than the file: replayed in that of a load."""
    hand = Hand(tmp_path / "a.duckdb", warehouse_dsn, ("INFY", "SBIN"))
    for symbol in hand.symbols:
        _stage(hand, symbol, 22)
    good = hand.load().new
    archived = pipeline.archive(replace(hand.settings, archive=tmp_path / "far"), Silent())
    assert archived.replies > 30
    again = hand.replay(archive=tmp_path / "far")
    assert (again.equal, again.failures) == (good, [])


def _stage(hand: Hand, symbol: str, replies: int) -> None:
    with Staging.write(hand.settings.staging, API_ROOT) as staging, ReplyWriter(staging) as writer:
        series = hand.series(staging, symbol, Interval.MINUTE)
        for number in range(replies):
            first = 60 * number
            window = Window(day(first), day(first + 59))
            commit(writer, series, window, body(_window(first)), settled=window.last)
