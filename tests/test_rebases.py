"""What was re-based, when and by what ratio: told by the warehouse and by status."""

from datetime import timedelta
from pathlib import Path

from kitepipe import pipeline
from tests.load_help import DAY, Hand, day, footprint, with_schema
from tests.servers import Look, looking
from tests.staging_help import NOON

TAKEN = "select count(*) from kite_series join kite_rebases using (instrument_id, epoch)"
REBASES = "select candle_interval::text, epoch, ratio, session from kite_rebases order by epoch"
HALVED = ("day", NOON + timedelta(minutes=1), 0.5, DAY)


def make_hand(folder: Path, dsn: str) -> Hand:
    """Ten days at 100 rupees, loaded."""
    hand = Hand(folder / "a.duckdb", dsn)
    hand.prices(0, 9, 100)
    hand.load()
    return hand


def test_a_re_base_is_noted_when_it_is_seen_and_told_apart_until_it_is_taken(
    hand: Hand, look: Look
) -> None:
    """A file that is loaded meanwhile must know of it; load again and replay note it no more."""
    hand.prices(0, 5, 50, minute=1, rebase=0.5)
    hand.load()
    assert (look(REBASES), look(TAKEN)) == ([HALVED], [(0,)])
    before = footprint(look)
    hand.load()
    assert footprint(look) == before
    (waiting,) = pipeline.status(hand.settings).rebased
    assert waiting.endswith("not loaded yet")
    hand.prices(6, 9, 50, minute=2)
    hand.load()
    assert (look(REBASES), look(TAKEN)) == ([HALVED], [(1,)])
    assert not any("not loaded" in text for text in pipeline.status(hand.settings).rebased)
    assert look("select epoch from kite_series") == [(HALVED[1],)]
    assert look(
        "select epoch > '2000-01-01', count(*) from kite_load_ledger group by 1 order by 1"
    ) == [
        (False, 1),
        (True, 2),
    ]
    before = footprint(look)
    hand.replay()
    assert footprint(look) == before


def test_each_of_several_is_noted_whatever_comes_first(
    hand: Hand, look: Look, tmp_path: Path, plain_dsn: str
) -> None:
    """Two re-bases, loaded one by one or at once, from two staging files in either order."""
    other = Hand(tmp_path / "b.duckdb", str(hand.settings.dsn))
    hand.prices(0, 9, 50, minute=1, rebase=0.5)
    hand.load()
    other.prices(0, 9, 100)
    other.prices(0, 9, 10, minute=5, rebase=0.1)
    other.load()
    expected = [HALVED, ("day", NOON + timedelta(minutes=5), 0.1, DAY)]
    assert look(REBASES) == expected
    dsn = with_schema(plain_dsn)
    for one in (other, hand):
        one.load(dsn=dsn)
    with looking(plain_dsn) as inside:
        assert inside(REBASES) == expected


def test_an_older_time_knows_nothing_of_it(hand: Hand, plain_dsn: str) -> None:
    """`--as-of` before the re-base shows a database without it."""
    hand.prices(0, 9, 50, minute=1, rebase=0.5)
    hand.replay(as_of=NOON, dsn=with_schema(plain_dsn))
    with looking(plain_dsn) as inside:
        assert inside(REBASES) == []


def test_status_tells_what_any_staging_file_saw(hand: Hand, tmp_path: Path) -> None:
    """When, by what ratio and on which session, also where another file holds the replies."""
    hand.prices(2, 9, 50, minute=1, rebase=0.5)
    hand.prices(0, 1, 50, minute=2)
    hand.load()
    told = [f"NSE:INFY day by 0.5 on 2026-11-23 12:01 IST, seen on {day(2)}"]
    assert pipeline.status(hand.settings).rebased == told
    other = Hand(tmp_path / "b.duckdb", str(hand.settings.dsn))
    assert pipeline.status(other.settings).rebased == told
