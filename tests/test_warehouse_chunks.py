"""Hypertable chunks are made ahead of a load, for whatever dates it has."""

from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from kitepipe import load, warehouse_schema
from kitepipe.warehouse import DatabaseManager
from tests.load_help import Hand, day
from tests.servers import Look


def test_hypertable_chunks_are_made_ahead_once(
    timescale_dsn: str, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chunks for the asked dates exist afterwards, leave no row, and are not made again."""
    looks: list[int] = []
    ranges = warehouse_schema._chunk_ranges

    def counted(*args: Any) -> list[tuple[datetime, datetime]]:
        looks.append(1)
        return ranges(*args)

    monkeypatch.setattr(warehouse_schema, "_chunk_ranges", counted)
    with DatabaseManager(timescale_dsn) as db:
        db.apply_schema()
        made = db.make_hypertable_chunks(date(2023, 1, 1), date(2024, 12, 31))
        assert db.make_hypertable_chunks(date(2023, 1, 1), date(2024, 12, 31)) == 0
        assert db.make_hypertable_chunks(date(2023, 6, 1), date(2023, 6, 1)) == 0
    assert 8 <= made <= 10
    assert len(looks) == 4, "twice for all that are missing, once for each that is not"
    assert look("select count(*) from timescaledb_information.chunks") == [(made,)]
    assert look("select count(*) from kite_ohlcv_historic") == [(0,)]


@pytest.mark.parametrize("days", [30, 200])
def test_no_date_is_left_without_a_chunk_where_their_length_was_changed(
    timescale_dsn: str, look: Look, days: int
) -> None:
    """Longer or shorter ones beside those there are: together they cover every date."""
    with DatabaseManager(timescale_dsn) as db:
        db.apply_schema()
        db.make_hypertable_chunks(date(2023, 3, 1), date(2023, 4, 30))
        look(f"select set_chunk_time_interval('kite_ohlcv_historic', interval '{days} days')")
        db.make_hypertable_chunks(date(2023, 9, 1), date(2023, 10, 31))
        made = db.make_hypertable_chunks(date(2022, 1, 1), date(2024, 12, 31))
    ranges = look(
        "select range_start, range_end from timescaledb_information.chunks order by range_start"
    )
    assert made < len(ranges)
    assert ranges[0][0] <= datetime(2021, 12, 31, 18, 30, tzinfo=UTC)
    assert ranges[-1][1] >= datetime(2024, 12, 31, 18, 30, tzinfo=UTC)
    assert all(before[1] == after[0] for before, after in pairwise(ranges))


def test_a_loader_asks_for_the_chunks_of_each_span_of_dates_once(
    tmp_path: Path, warehouse_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A span within those that it has asked for costs the server nothing."""
    hand = Hand(tmp_path / "a.duckdb", warehouse_dsn, ("INFY", "SBIN", "TCS"))
    hand.prices(0, 9, 100)
    hand.prices(2, 5, 100, symbol="SBIN")
    hand.prices(8, 400, 100, symbol="TCS")
    asked: list[tuple[date, date]] = []
    make = DatabaseManager.make_hypertable_chunks

    def spy(manager: DatabaseManager, first: date, last: date) -> int:
        asked.append((first, last))
        return make(manager, first, last)

    monkeypatch.setattr(DatabaseManager, "make_hypertable_chunks", spy)
    monkeypatch.setattr(load, "GROUP_BYTES", 1)  # each series is a bundle
    assert hand.load(load_workers=1).new == 10 + 4 + 393
    assert asked == [(day(0), day(9)), (day(8), day(400))]
