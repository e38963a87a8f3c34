"""Names of instruments go into the warehouse once with each dump, not with each load."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kitepipe import pipeline
from kitepipe.errors import StagingError
from kitepipe.progress import Silent
from kitepipe.staging import Staging
from kitepipe.staging_instruments import instrument_names
from kitepipe.warehouse import DatabaseManager
from tests.load_help import API_ROOT, Hand, candles, with_schema
from tests.servers import Look
from tests.staging_help import line, take

SYMBOLS = ("INFY", "SBIN", "TCS")
LISTED = "select tradingsymbol from kite_instruments order by 1"


@pytest.fixture
def hand(tmp_path: Path, plain_dsn: str) -> Hand:
    """A dump of three instruments, of which one has a reply."""
    hand = Hand(tmp_path / "a.duckdb", with_schema(plain_dsn), SYMBOLS)
    hand.prices(0, 1, 100)
    return hand


def _forget(look: Look) -> None:
    look("delete from kite_instrument_names where tradingsymbol <> 'INFY'")
    look("delete from kite_instruments where tradingsymbol <> 'INFY'")


def test_an_error_amid_the_names_is_told_as_it_is_and_nothing_is_noted(
    hand: Hand, look: Look
) -> None:
    """They come from a staging file, which may be damaged: the server did nothing wrong."""

    def names() -> Iterator[tuple[object, ...]]:
        with Staging.read(hand.settings.staging) as staging, staging.cursor() as cursor:
            yield from instrument_names(cursor)
        raise StagingError("damaged")

    with DatabaseManager(hand.settings.dsn or "") as warehouse:
        with pytest.raises(StagingError, match=r"^damaged$"):
            warehouse.sync_instruments("s", names(), "dumps")
        assert warehouse.synced_dumps("s") == ""
    assert look(LISTED) == []


def test_all_that_a_dump_lists_is_there_after_a_load(hand: Hand, look: Look) -> None:
    """Whether or not it was ever asked, and whether or not there is anything to load."""
    hand.load()
    assert look(LISTED) == [("INFY",), ("SBIN",), ("TCS",)]


def test_a_dump_is_told_once(hand: Hand, look: Look) -> None:
    """What was taken out by hand is not told again, but for what is loaded now."""
    hand.load()
    _forget(look)
    assert hand.load().replies == 0
    assert look(LISTED) == [("INFY",)]
    hand.prices(2, 3, 100)
    hand.prices(0, 3, 7, symbol="SBIN")
    assert hand.load().new == 6
    assert look(LISTED) == [("INFY",), ("SBIN",)]
    by_symbol = {
        symbol: {row[4] for row in candles(look) if row[1] == symbol} for symbol in SYMBOLS
    }
    assert by_symbol == {"INFY": {100.0}, "SBIN": {7.0}, "TCS": set()}
    assert pipeline.verify(hand.settings, Silent()).exit_code == 0
    assert (hand.replay().equal, look(LISTED)) == (8, [("INFY",), ("SBIN",)])


@pytest.mark.parametrize("verb", ["load", "replay", "verify"])
def test_the_next_dump_is_told_whole(verb: str, hand: Hand, look: Look) -> None:
    """A name that came with it is there, and one that ended has its end."""
    hand.load()
    _forget(look)
    with Staging.write(hand.settings.staging, API_ROOT) as staging:
        take(staging, 1, line(256, "INFOSYS"), line(512, "SBIN"), line(768, "TCS"))
    getattr(pipeline, verb)(hand.settings, Silent())
    assert look(LISTED) == [("INFOSYS",), ("SBIN",), ("TCS",)]
    ended = look("select tradingsymbol from kite_instrument_names where valid_to is not null")
    assert ended == [("INFY",)]


def test_a_copy_that_took_another_dump_is_told_too(hand: Hand, look: Look, tmp_path: Path) -> None:
    """Two files of one name and one number of dumps, which differ in the last one."""
    copied = tmp_path / "copy.duckdb"
    copied.write_bytes(hand.settings.staging.read_bytes())
    for path, more in ((hand.settings.staging, line(4096, "WIPRO")), (copied, line(8192, "CIPLA"))):
        with Staging.write(path, API_ROOT) as staging:
            take(staging, 1, line(256, "INFY"), more)
        pipeline.load(replace(hand.settings, staging=path), Silent())
    assert [symbol for (symbol,) in look(LISTED)] == ["CIPLA", *SYMBOLS, "WIPRO"]
