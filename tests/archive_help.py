"""What the tests of archives share: a staging file with many seals, and looks inside."""

from dataclasses import replace
from pathlib import Path

from kitepipe import pipeline
from kitepipe.model import Window
from kitepipe.progress import Silent
from kitepipe.staging import Staging
from kitepipe.summary_files import ArchiveReport
from tests.load_help import API_ROOT, Hand, candle, day, with_schema
from tests.staging_help import NOON, body, commit, numbered, stored

SYMBOLS = ("INFY", "SBIN", "TCS")


def archiving_hand(folder: Path, dsn: str) -> Hand:
    """Return a hand whose archive is a folder with a name that patterns would trip over."""
    hand = Hand(folder / "a.duckdb", dsn, SYMBOLS)
    hand.settings = replace(hand.settings, archive=folder / "cheap [1]*")
    return hand


def loaded_hand(folder: Path, dsn: str, replies: int) -> Hand:
    """Return such a hand with so many replies of each symbol, loaded into a database."""
    hand = archiving_hand(folder, with_schema(dsn))
    stage(hand, 0, replies)
    hand.load()
    return hand


def stage(hand: Hand, first: int, replies: int, price: float = 100.0, *, days: int = 5) -> None:
    """Stage replies of each symbol in turn, sealed by fours: five days each, one after another."""
    with Staging.write(hand.settings.staging, API_ROOT) as staging:
        series = [hand.series(staging, symbol) for symbol in SYMBOLS]
        with numbered(staging, seal_bytes=1200) as writer:
            for number in range(replies):
                start = first + number * days
                rows = [candle(day(n), price + n) for n in range(start, start + days)]
                for of in series:
                    window = Window(day(start), day(start + days - 1))
                    commit(writer, of, window, body(rows), fetched_at=NOON)


def archive(hand: Hand, *, dry_run: bool = False) -> ArchiveReport:
    """Archive what is loaded, as `kitepipe archive`."""
    return pipeline.archive(hand.settings, Silent(), dry_run=dry_run)


def in_file(path: Path) -> set[int]:
    """Return which bodies stand in the staging file, by its own view."""
    return {reply_id for (reply_id,) in stored(path, "select reply_id from body")}


def in_archive(path: Path) -> set[int]:
    """Return which bodies the staging file knows to be archived."""
    return {reply_id for (reply_id,) in stored(path, "select reply_id from archived_body")}


def files(hand: Hand) -> list[Path]:
    """Return what stands in the archive's folder."""
    return sorted(hand.settings.archive.iterdir())
