"""Re-based history: the table shows one price base at any moment, the new one when it is whole."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from kitepipe import pipeline
from kitepipe.cli.render import text_of
from kitepipe.config import Settings
from kitepipe.model import Interval
from kitepipe.plan import Bounds
from kitepipe.progress import Silent
from kitepipe.sandbox import Sandbox
from tests.load_help import Hand, candles, closes, day, with_schema
from tests.sandbox_asking import ist, sandbox
from tests.servers import Look, looking
from tests.staging_help import NOON

_ROWS = (
    "select ctid::text, xmin::text, tableoid::regclass::text from kite_ohlcv_historic order by 3, 1"
)


def make_hand(folder: Path, dsn: str) -> Hand:
    """Ten days at 100 rupees, loaded."""
    hand = Hand(folder / "a.duckdb", dsn)
    hand.prices(0, 9, 100)
    hand.load()
    return hand


def test_the_new_base_is_taken_when_it_is_whole_and_not_before(hand: Hand, look: Look) -> None:
    """Half of a re-fetch waits and is told of; with the rest everything changes at once."""
    before = look(_ROWS)
    hand.prices(8, 10, 50, minute=1, rebase=0.5)
    hand.prices(4, 7, 50, minute=2)
    report = hand.load()
    assert (report.new, report.changed) == (0, 0)
    assert (report.waiting, report.exit_code) == (2, 3)
    assert ["2 replies wait" in warning for warning in report.warnings] == [True]
    assert look(_ROWS) == before
    hand.prices(0, 3, 50, minute=3)
    seen: set[frozenset[float]] = set()
    with _watching(hand, seen):
        report = hand.load()
    assert (report.new, report.changed, report.warnings) == (1, 10, [])
    assert (report.waiting, report.exit_code) == (0, 0)
    assert seen <= {frozenset({100.0}), frozenset({50.0})}
    assert closes(look) == dict.fromkeys(range(11), 50)


class _watching:  # noqa: N801  (used as a `with`)
    """Look at the table all the time, from another connection."""

    def __init__(self, hand: Hand, seen: set[frozenset[float]]) -> None:
        self._dsn, self._seen = str(hand.settings.dsn), seen
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        with looking(self._dsn) as look:
            while not self._over.is_set():
                self._seen.add(frozenset(row[0] for row in look("select close from kite_ohlcv")))


def test_an_older_time_still_shows_the_old_base(hand: Hand, plain_dsn: str) -> None:
    """Replies of the old base stay in staging: `--as-of` before the split shows their prices."""
    hand.prices(0, 10, 50, minute=10, rebase=0.5)
    hand.load()
    with_schema(plain_dsn)
    hand.replay(as_of=NOON + timedelta(minutes=5), dsn=plain_dsn)
    with looking(plain_dsn) as inside:
        assert closes(inside) == dict.fromkeys(range(10), 100)


@pytest.mark.parametrize("order", ["aab", "aba", "baa"])
def test_two_staging_files_with_a_re_based_series_in_any_order(
    order: str, tmp_path: Path, warehouse_dsn: str, look: Look
) -> None:
    """One file is re-based and fetched anew in halves, the other is fresh and newer: one table."""
    dsn = warehouse_dsn
    a, b = Hand(tmp_path / "a.duckdb", dsn), Hand(tmp_path / "b.duckdb", dsn)
    a.prices(0, 9, 100)
    a.prices(5, 9, 50, minute=2, rebase=0.5)
    b.prices(3, 9, 51, minute=9)
    for number, name in enumerate(order):
        if name == "a" and "a" in order[:number]:
            a.prices(0, 4, 50, minute=3)
        {"a": a, "b": b}[name].load()
    assert closes(look) == dict.fromkeys(range(3), 50) | dict.fromkeys(range(3, 10), 51)


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_dates_of_an_older_price_base_are_dropped_and_named(
    order: str, tmp_path: Path, warehouse_dsn: str, look: Look
) -> None:
    """One file saw the re-base and has days 3 to 9, an older one has days 0 to 9: never both."""
    dsn = warehouse_dsn
    hands = {name: Hand(tmp_path / f"{name}.duckdb", dsn) for name in "ab"}
    hands["b"].prices(0, 9, 100)
    hands["a"].prices(3, 9, 100, minute=1)
    hands["a"].prices(3, 9, 50, minute=2, rebase=0.5)
    report = [hands[name].load() for name in order][-1]
    assert (report.waiting, report.dropped) == (0, [f"NSE:INFY day {day(0)}..{day(2)}"])
    assert (report.exit_code, report.gone) == (3, 3 if order == "ba" else 0)
    assert "dropped" in "".join(text_of("load", report))
    assert closes(look) == dict.fromkeys(range(3, 10), 50)
    assert look("select candles from kite_series") == [(7,)]
    hands["b"].prices(0, 9, 50, minute=3, rebase=0.5)
    assert (hands["b"].load().exit_code, closes(look)) == (0, dict.fromkeys(range(10), 50))


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_a_file_that_saw_nothing_never_shows_its_new_base_beside_an_old_one(
    order: str, tmp_path: Path, warehouse_dsn: str, look: Look
) -> None:
    """One file saw a re-base and has fetched half anew, another began after it: one base, always.

    The new base is whole for the second file: what only the first has of the old one is dropped and
    named, and comes back on the new base with the rest of its replies.
    """
    dsn = warehouse_dsn
    hands = {name: Hand(tmp_path / f"{name}.duckdb", dsn) for name in "ab"}
    hands["a"].prices(0, 9, 100)
    hands["a"].prices(8, 9, 50, minute=2, rebase=0.5)
    hands["b"].prices(4, 9, 50, minute=5)
    hands[order[0]].load()
    assert len(set(closes(look).values())) == 1
    report = hands[order[1]].load()
    assert closes(look) == dict.fromkeys(range(4, 10), 50)
    assert (report.waiting, report.dropped) == (0, [f"NSE:INFY day {day(0)}..{day(3)}"])
    hands["a"].prices(0, 7, 50, minute=6)
    assert hands["a"].load().exit_code == 0
    assert closes(look) == dict.fromkeys(range(10), 50)


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_an_older_base_of_another_file_stands_beside_one_that_waits(
    order: str, tmp_path: Path, warehouse_dsn: str, look: Look
) -> None:
    """What was fetched before the re-base is of the old base, whoever saw it: that stays."""
    dsn = warehouse_dsn
    hands = {name: Hand(tmp_path / f"{name}.duckdb", dsn) for name in "ab"}
    hands["a"].prices(0, 9, 100)
    hands["a"].prices(8, 9, 50, minute=2, rebase=0.5)
    hands["b"].prices(5, 12, 100, minute=1)
    for name in order:
        hands[name].load()
    assert closes(look) == dict.fromkeys(range(13), 100)


@pytest.fixture
def kite() -> Iterator[Sandbox]:
    """A sandbox two days before INFY is split."""
    with sandbox(other_rate_limit=1000, now=ist(2026, 11, 18, 20), api_key="epochs") as server:
        yield server


def test_a_split_seen_over_http_and_fetched_in_two_runs(
    kite: Sandbox, tmp_path: Path, warehouse_dsn: str, look: Look, plain_dsn: str
) -> None:
    """Interrupted in the re-fetch, then finished: the table equals a download made afterwards."""
    settings = Settings(
        api_root=kite.url,
        api_key="epochs",
        access_token=kite.access_token,
        rate_limit=1000,
        staging=tmp_path / "a.duckdb",
        dsn=warehouse_dsn,
        candle_interval=(Interval.MINUTE_60,),
        tradingsymbols=("NSE:INFY",),
        bootstrap_date=date(2024, 6, 1),
    )
    pipeline.run(settings, Bounds(), Silent())
    old = candles(look)
    kite.set_now(ist(2026, 11, 20, 20))
    kite.split("NSE:INFY", date(2026, 11, 20), 2.0)
    half = pipeline.run(settings, Bounds(max_requests=2), Silent())
    assert len(half.fetch.rebased) == 1
    assert half.load.exit_code == 3
    assert any("replies wait" in warning for warning in half.load.warnings)
    assert candles(look) == old
    rest = pipeline.run(settings, Bounds(), Silent())
    assert (rest.load.waiting, rest.exit_code) == (0, 0)  # it waited at the start of this run
    fresh = replace(settings, staging=tmp_path / "b.duckdb", dsn=with_schema(plain_dsn))
    pipeline.run(fresh, Bounds(), Silent())
    with looking(plain_dsn) as inside:
        assert candles(look) == candles(inside)
    assert len(candles(look)) > len(old)
