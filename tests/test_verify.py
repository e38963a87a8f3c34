"""Verify proves the table against staging: it names what was done behind its back."""

import math
from pathlib import Path

import pytest

from kitepipe import pipeline
from kitepipe.cli.render import text_of
from kitepipe.progress import Silent
from kitepipe.summary import VerifyReport
from tests.load_help import Hand, candle, candles, day, footprint
from tests.sandbox_asking import ist
from tests.servers import Look


def make_hand(folder: Path, dsn: str) -> Hand:
    """Two instruments of thirty days, a correction, a held day and a bad candle; loaded."""
    hand = Hand(folder / "a.duckdb", dsn, ("INFY", "SBIN"))
    hand.prices(0, 29, 100)
    hand.prices(0, 30, 1699.25, symbol="SBIN", settled=29)
    hand.reply(10, 12, [candle(day(10), 102.05), candle(day(11), -1)], minute=1)
    hand.load()
    return hand


def _verify(hand: Hand, *, delete_foreign: bool = False) -> VerifyReport:
    return pipeline.verify(hand.settings, Silent(), delete_foreign=delete_foreign)


def test_an_untouched_table_is_proven(hand: Hand, look: Look) -> None:
    """Every candle is compared, none differs, and nothing is written."""
    before = footprint(look)
    report = _verify(hand)
    assert (report.series, report.candles, report.differing, report.unproven) == (2, 58, 0, 0)
    assert (report.exit_code, report.failures, footprint(look)) == (0, [], before)


def test_what_was_done_by_hand_is_named_and_mended_by_replay(hand: Hand, look: Look) -> None:
    """A changed price, a deleted row and an added one, each by instrument, date and values."""
    right = candles(look)
    infy = "instrument_id = (select instrument_id from kite_instruments where tradingsymbol='INFY')"
    on = "(date at time zone 'Asia/Kolkata')::date"
    look(f"update kite_ohlcv_historic set close = 100.01 where {infy} and {on} = %s", day(3))
    look(f"delete from kite_ohlcv_historic where {infy} and {on} = %s", day(5))
    look(
        "insert into kite_ohlcv_historic select instrument_id, candle_interval, "
        "date + interval '1 day', 5, 5, 5, 5, 5, null, batch_id from kite_ohlcv_historic "
        f"where {infy} and {on} = %s",
        day(10),
    )
    report = _verify(hand)
    assert (report.exit_code, report.differing, report.unproven) == (3, 3, 0)
    told = {failure.what: failure.why for failure in report.failures}
    assert sorted(told) == [f"NSE:INFY day {day(n)} 00:00" for n in (3, 5, 11)]
    assert "close 100.01 in the warehouse, 100.0 staged" in told[f"NSE:INFY day {day(3)} 00:00"]
    assert "missing in the warehouse" in told[f"NSE:INFY day {day(5)} 00:00"]
    assert "not staged" in told[f"NSE:INFY day {day(11)} 00:00"]
    hand.replay()
    assert (candles(look), _verify(hand).differing) == (right, 0)


@pytest.mark.parametrize("price", [math.nextafter(1699.25, 2000), math.nextafter(1699.25, 0)])
def test_the_last_digit_of_a_price_counts(price: float, hand: Hand, look: Look) -> None:
    """One candle is off by the least that a double can be: verify names it, replay writes it."""
    right = candles(look)
    update = "update kite_ohlcv_historic set high = %s where high = 1699.25 and date >= %s"
    look(update, price, ist(2026, 2, 3))
    assert _verify(hand).differing == 1
    assert (hand.replay().changed, candles(look)) == (1, right)


@pytest.mark.parametrize(
    "change",
    [
        "date = date + interval '30 seconds'",
        "volume = 2147483648",
        "volume = volume - 4294967296",
        "volume = 4294967296 + (volume # 1)",
        "oi = -1",
        "volume = volume + 53, oi = 0",
    ],
)
def test_replay_mends_what_a_weak_checksum_would_not_see(
    change: str, hand: Hand, look: Look
) -> None:
    """A candle that was moved by seconds, a counter that is full, an oi that was never there."""
    right = candles(look)
    look(f"update kite_ohlcv_historic set {change} where close = 102.05")
    assert _verify(hand).differing >= 1
    hand.replay()
    assert (candles(look), _verify(hand).differing) == (right, 0)


def test_rows_that_nobody_covers_are_named_and_left_alone(hand: Hand, look: Look) -> None:
    """Only `--delete-foreign` deletes them, and only them."""
    right = candles(look)
    look(
        "insert into kite_ohlcv_historic select instrument_id, candle_interval, "
        "date + n * interval '100 days', 5, 5, 5, 5, 5, null, 0 from kite_ohlcv_historic, "
        "generate_series(-1, 1, 2) as n where close = 102.05"
    )
    report = _verify(hand)
    assert (report.exit_code, report.differing, report.unproven, report.deleted) == (0, 0, 2, 0)
    places = [f"NSE:INFY day {day(n)}..{day(n)}, candles: 1" for n in (-90, 110)]
    assert report.foreign == places
    assert all(place in "".join(text_of("verify", report)) for place in places)
    hand.replay()
    assert len(candles(look)) == len(right) + 2
    assert _verify(hand, delete_foreign=True).deleted == 2
    assert (candles(look), _verify(hand).unproven) == (right, 0)
    assert look("select sum(candles) from kite_series") == [(len(right),)]


def test_series_of_no_staging_file_are_named_and_left_alone(hand: Hand, look: Look) -> None:
    """Another interval of a share that is staged, and an instrument that nobody knows."""
    before = len(candles(look))
    look(
        "insert into kite_ohlcv_historic select instrument_id + n, 'minute', "
        "date + n * interval '1 minute', 5, 5, 5, 5, 5, null, 0 from kite_ohlcv_historic, "
        "(values (0), (1000)) as other (n) where close = 102.05"
    )
    for delete_foreign in (False, True):
        report = _verify(hand, delete_foreign=delete_foreign)
        assert (report.exit_code, report.unproven, report.deleted) == (0, 2, 0)
        named = [
            f"{name} minute {day(10)}..{day(10)}, candles: 1; of no staging file"
            for name in ("NSE:INFY", "instrument 1001")
        ]
        assert report.foreign == named
    assert len(look("select 1 from kite_ohlcv_historic")) == before + 2


def test_what_another_file_decided_is_not_this_ones_to_prove(hand: Hand, tmp_path: Path) -> None:
    """A second staging file's dates are neither differing nor foreign, and deletes none of them."""
    other = Hand(tmp_path / "b.duckdb", str(hand.settings.dsn), ("INFY", "SBIN"))
    other.prices(20, 40, 777, minute=5)
    other.load()
    for file in (hand, other):
        report = _verify(file, delete_foreign=True)
        assert (report.differing, report.unproven, report.deleted) == (0, 0, 0)


def test_more_differences_than_can_be_named_are_all_counted(hand: Hand, look: Look) -> None:
    """The table was lost: each candle counts, a hundred at most are named."""
    hand.prices(100, 299, 100, minute=3)
    hand.load()
    look("truncate kite_ohlcv_historic")
    report = _verify(hand)
    assert (report.differing, len(report.failures)) == (258, 100)
    assert report.warnings == ["258 candles differ; the first 100 are named"]


def test_many_unloaded_series_hide_no_difference(hand: Hand, look: Look) -> None:
    """Differences are named first, as many as ever, whatever is not loaded beside them."""
    hand.prices(100, 299, 100, minute=3)
    hand.load()
    look("truncate kite_ohlcv_historic")
    hand.prices(300, 301, 100, minute=4)
    report = _verify(hand)
    assert (report.differing, report.unloaded, len(report.failures)) == (258, 1, 101)
    assert report.failures[-1].why == "1 reply is staged and not loaded yet; run 'kitepipe load'"


def test_a_reply_that_is_not_loaded_is_told_as_that(hand: Hand, look: Look) -> None:
    """The dates that it decides are not compared, old ones and new ones; the others are."""
    look("update kite_ohlcv_historic set close = 100.01 where date = %s", ist(2026, 1, 8))
    hand.prices(28, 32, 101, minute=3)
    hand.prices(28, 29, 101, minute=4)
    report = _verify(hand)
    differing = [f"NSE:{symbol} day {day(3)} 00:00" for symbol in ("INFY", "SBIN")]
    assert [failure.what for failure in report.failures] == [*differing, "NSE:INFY day"]
    assert report.failures[-1].why == "2 replies are staged and not loaded yet; run 'kitepipe load'"
    assert (report.differing, report.unloaded, report.exit_code) == (2, 2, 3)
    hand.load()
    assert (_verify(hand).differing, _verify(hand).unloaded) == (2, 0)
