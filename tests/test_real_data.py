"""Real candles, through HTTP, staging and SQL: equal to their files to the last digit.

The inputs may not be shipped: skipped where KITEPIPE_TEST_DATA does not name them.
"""

import csv
import json
import os
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from kitepipe import pipeline
from kitepipe.model import IST, Interval
from kitepipe.plan import Bounds
from kitepipe.progress import Silent
from tests.box_help import Box
from tests.load_help import DAY, Hand, candles, footprint, with_schema
from tests.sandbox_asking import sandbox
from tests.servers import Look, Rows, looking


def _files(real_data: Path, interval: Interval) -> list[Path]:
    return sorted((real_data / "kite" / interval.value).glob("*.csv"))


def _rows_of(path: Path, interval: Interval, *, oi: bool) -> Rows:
    """Return a file's candles as the table should hold them."""
    exchange, _, symbol = path.stem.partition("-")
    with path.open(encoding="utf-8", newline="") as lines:
        return [
            (
                *(exchange, symbol, interval.value),
                datetime.fromisoformat(row["date"]).astimezone(UTC),
                *(float(row[price]) for price in ("open", "high", "low", "close")),
                *(int(row["volume"]), int(row["oi"]) if oi else None),
            )
            for row in csv.DictReader(lines)
        ]


@pytest.mark.parametrize(
    ("interval", "first", "oi"),
    [
        (Interval.DAY, date(2020, 1, 1), True),
        (Interval.MINUTE_60, date(2024, 11, 1), False),
        (Interval.MINUTE, date(2016, 7, 1), False),
    ],
)
def test_every_candle_of_every_file_is_in_the_table(
    interval: Interval,
    first: date,
    oi: bool,
    real_data: Path,
    tmp_path: Path,
    warehouse_dsn: str,
    plain_dsn: str,
    look: Look,
) -> None:
    """All of it and nothing more; again it asks and writes nothing; replay and verify agree."""
    files = _files(real_data, interval)
    expected = sorted(row for path in files for row in _rows_of(path, interval, oi=oi))
    key = f"real{interval}{os.getpid()}"
    bounds = Bounds(first=first, last=expected[-1][3].astimezone(IST).date())
    with sandbox(data=real_data / "kite", api_key=key, other_rate_limit=1000) as kite:
        settings = Box(tmp_path, kite, warehouse_dsn).settings(
            tradingsymbols=tuple(path.stem.replace("-", ":", 1) for path in files),
            candle_interval=(interval,),
            oi=oi,
        )
        assert pipeline.run(settings, bounds, Silent()).exit_code == 0
        before = footprint(look)
        kite.clear_log()
        again = pipeline.run(settings, bounds, Silent())
        assert (kite.requests.historical, again.load.series) == (0, 0)
    assert candles(look) == expected
    assert (pipeline.verify(settings, Silent()).differing, footprint(look)) == (0, before)
    with looking(with_schema(plain_dsn)) as inside:
        replayed = pipeline.replay(replace(settings, dsn=plain_dsn), Silent())
        assert (replayed.new, candles(inside)) == (len(expected), expected)


@pytest.mark.parametrize(
    ("name", "interval"),
    [
        ("historical_minute.json", Interval.MINUTE),
        ("historical_oi.json", Interval.MINUTE),
        ("NIFTY26OCTFUT_5minute_oi_2026-10-05.json", Interval.MINUTE_5),
    ],
)
def test_every_candle_of_a_published_reply_arrives(
    name: str, interval: Interval, real_data: Path, tmp_path: Path, warehouse_dsn: str, look: Look
) -> None:
    """Zerodha's own replies, byte for byte: pretty-printed, ints among floats, with oi or not."""
    body = (real_data / "wire" / name).read_text(encoding="utf-8")
    rows = json.loads(body)["data"]["candles"]
    days = [(date.fromisoformat(row[0][:10]) - DAY).days for row in rows]
    hand = Hand(tmp_path / "a.duckdb", warehouse_dsn)
    hand.reply(min(days), max(days), body, interval=interval)
    report = hand.load()
    expected = [
        (
            *("NSE", "INFY", interval.value, datetime.fromisoformat(row[0]).astimezone(UTC)),
            *[*row[1:], None][:6],
        )
        for row in rows
    ]
    assert (report.quarantined, candles(look)) == (0, sorted(expected))
