"""Replies of full size that are not of Kite's plain form: they take memory, and are loaded."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kitepipe.model import Interval
from tests.load_help import Hand, day, with_schema
from tests.marks import with_quick
from tests.servers import Look

SESSIONS, MINUTES = 41, 375  # of a window of 60 days: 15,375 candles, 1 MB
NAMES = ("date", "open", "high", "low", "close", "volume")


def _window(first: int) -> list[list[Any]]:
    opens = [
        datetime.combine(day(first + n), datetime.min.time()) + timedelta(hours=9, minutes=15 + m)
        for n in range(SESSIONS)
        for m in range(MINUTES)
    ]
    return [[f"{at:%Y-%m-%dT%H:%M:%S}+0530", 1234.5, 1240.05, 1230, 1236, 99] for at in opens]


@pytest.mark.parametrize(
    "form",
    with_quick(["one bad candle in each reply", "objects", "a broken rule in each reply"], 0),
)
def test_replies_of_full_size_in_any_form_are_loaded_in_the_memory_of_a_load(
    form: str, tmp_path: Path, timescale_dsn: str, look: Look
) -> None:
    """Eight of them in a series, twice at the same time; then again, where all of it is known."""
    hand = Hand(tmp_path / "a.duckdb", with_schema(timescale_dsn), ("INFY", "SBIN"))
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
