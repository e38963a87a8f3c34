"""Real falls of a fifth in a day are what they are: history was not re-based.

The inputs may not be shipped: skipped where KITEPIPE_TEST_DATA does not name them.
"""

import csv
from datetime import date
from pathlib import Path

import pytest

from tests.fetch_help import fetch, settings_for
from tests.sandbox_asking import ist, sandbox

FALLS = [
    ("ADANIPORTS", date(2023, 2, 1)),  # -19 %
    ("ADANIPORTS", date(2024, 6, 4)),  # -21 %
    ("TMPV", date(2021, 10, 13)),  # +20 %
]


@pytest.mark.parametrize(("symbol", "day"), FALLS)
def test_a_real_move_is_not_taken_for_a_new_base(
    symbol: str, day: date, real_data: Path, tmp_path: Path
) -> None:
    """A run the evening before and one that evening: the shared session stands as it was."""
    with (real_data / "kite" / "day" / f"NSE-{symbol}.csv").open(encoding="utf-8") as lines:
        closes = {row["date"][:10]: float(row["close"]) for row in csv.DictReader(lines)}
    days = sorted(closes)
    before = date.fromisoformat(days[days.index(day.isoformat()) - 1])
    assert abs(closes[day.isoformat()] / closes[before.isoformat()] - 1) > 0.19

    with sandbox(
        data=real_data / "kite", now=ist(before.year, before.month, before.day, 20)
    ) as kite:
        told = settings_for(
            kite, tmp_path / "s.duckdb", tradingsymbols=(symbol,), bootstrap_date=date(2020, 7, 1)
        )
        fetch(kite, told)
        kite.set_now(ist(day.year, day.month, day.day, 20))
        report = fetch(kite, told)

    assert report.candles >= 2, "the shared session and the day itself"
    assert report.rebased == []
