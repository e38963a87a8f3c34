"""Stage 2 end to end: replies staged by hand, loaded into a real TimescaleDB, looked at."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kitepipe.load import LoadOptions
from tests.load_help import Hand, candle, candles, closes, day, footprint, with_schema
from tests.marks import examples
from tests.servers import Look, looking


def make_hand(folder: Path, dsn: str) -> Hand:
    """An empty staging file beside an empty warehouse."""
    return Hand(folder / "a.duckdb", dsn)


def test_every_required_field_arrives(hand: Hand, look: Look) -> None:
    """Property 5: name, interval, instant, prices, volume and open interest, to the last digit."""
    hand.reply(0, 0, [[f"{day(0)}T09:15:00+0530", 0.05, 1705.1, 0.05, 1699.25, 2**62, 7]])
    assert hand.load().new == 1
    midnight = datetime(2026, 1, 4, 18, 30, tzinfo=UTC)  # 00:00 in India
    expected = ("NSE", "INFY", "day", midnight, 0.05, 1705.1, 0.05, 1699.25, 2**62, 7)
    assert candles(look) == [expected]


def test_load_twice_writes_nothing(hand: Hand, look: Look) -> None:
    """Property 22: a second load and a replay leave every row of every table where it stands."""
    hand.prices(0, 4, 100)
    hand.prices(3, 8, 101, minute=1, settled=7)
    hand.reply(9, 9, [candle(day(9), -1)], minute=2)
    first = hand.load()
    assert (first.new, first.held, first.quarantined) == (8, 1, 1)
    before = footprint(look)
    again, replayed = hand.load(), hand.replay()
    assert (again.series, again.replies) == (0, 0)
    assert (replayed.new, replayed.changed, replayed.gone, replayed.equal) == (0, 0, 0, 8)
    assert footprint(look) == before


def test_the_newest_reply_decides_also_when_it_says_what_the_first_said(
    hand: Hand, look: Look
) -> None:
    """A, B, A: corrected and corrected back; each load shows the newest, equal ones stay."""
    changes = []
    for minute, price in enumerate((100, 101, 100)):
        hand.reply(0, 2, [candle(day(0), 99), candle(day(1), price)], minute=minute)
        report = hand.load()
        changes.append((report.new, report.changed, report.equal, closes(look)[1]))
    assert changes == [(2, 0, 0, 100), (0, 1, 1, 101), (0, 1, 1, 100)]


def test_a_candle_that_vanished_at_source_vanishes_here(hand: Hand, look: Look) -> None:
    """Absent from the newest reply, quarantined in it, or in an empty one: gone."""
    hand.prices(0, 5, 100)
    hand.load()
    hand.reply(1, 2, [candle(day(1), 100), candle(day(2), 0)], minute=1)
    hand.reply(4, 4, [], minute=2)
    report = hand.load()
    assert (report.gone, report.quarantined) == (2, 1)
    assert report.quarantine_rules == {"non_positive_price": 1}
    assert sorted(closes(look)) == [0, 1, 3, 5]
    kept = "select first_candle::date::text, candles from kite_series"
    assert look(kept) == [("2026-01-04", 4)]  # in UTC


def test_what_is_not_settled_is_held_back_until_it_is(hand: Hand, look: Look) -> None:
    """A date that may still change is counted and not loaded, alone and beside settled ones."""
    hand.prices(0, 3, 100, settled=2)
    hand.prices(4, 4, 100, minute=1, settled=3)
    report = hand.load()
    assert (report.new, report.held, sorted(closes(look))) == (3, 2, [0, 1, 2])
    hand.prices(3, 4, 101, minute=2)
    assert hand.load().new == 2
    assert closes(look) == {0: 100, 1: 100, 2: 100, 3: 101, 4: 101}


def test_a_series_that_the_server_refuses_stops_nobody_else(
    tmp_path: Path, warehouse_dsn: str, look: Look, caplog: pytest.LogCaptureFixture
) -> None:
    """Properties 15 and 16: refused in mid-COPY: nothing of it stays, the others are loaded."""
    hand = Hand(tmp_path / "a.duckdb", warehouse_dsn, ("INFY", "SBIN", "TCS"))
    for symbol in hand.symbols:
        hand.prices(0, 40, 100, symbol=symbol)
    hand.reply(20, 20, [candle(day(20), 666)], symbol="SBIN", minute=1)
    look("alter table kite_ohlcv_historic add constraint no_devil check (close <> 666)")
    with caplog.at_level(logging.ERROR):
        report = hand.load()
    assert (report.exit_code, report.series, report.new) == (3, 2, 82)
    assert [(f.what, "no_devil" in f.why) for f in report.failures] == [("NSE:SBIN day", True)]
    assert {row[1] for row in candles(look)} == {"INFY", "TCS"}
    left = "select count(*) from kite_load_ledger join kite_instruments using (instrument_id) "
    assert look(left + "where tradingsymbol = 'SBIN'") == [(0,)]
    look("alter table kite_ohlcv_historic drop constraint no_devil")
    assert (hand.load().new, len(candles(look))) == (41, 123)


def test_a_foreign_row_in_the_way_is_compared_with(hand: Hand, look: Look) -> None:
    """A row that somebody else wrote is overwritten or deleted like any other that differs."""
    hand.prices(0, 1, 100)
    hand.load()
    look(
        "insert into kite_ohlcv_historic select instrument_id, candle_interval, "
        "date + n * interval '1 day', 1, 1, 1, 1, 1, null, 0 from kite_ohlcv_historic, "
        "generate_series(2, 5) as n on conflict do nothing"
    )
    hand.reply(2, 9, [candle(day(n)) for n in (2, 8)], minute=1)
    report = hand.load()
    assert (report.new, report.changed) == (1, 1)
    assert closes(look) == {0: 100, 1: 100, 2: 100, 8: 100}
    assert look("select candles from kite_series") == [(4,)]


def test_replay_mends_a_lost_table(hand: Hand, look: Look) -> None:
    """Property 21: after the candles were lost, or in another database, all are as they were."""
    hand.prices(0, 30, 100)
    hand.reply(3, 5, [candle(day(4), 102)], minute=1)
    hand.load()
    before = candles(look)
    look("delete from kite_ohlcv_historic where close = 100")
    look("update kite_ohlcv_historic set close = 1")
    assert hand.load().new == 0  # the ledger says that all is loaded
    report = hand.replay()
    assert (report.new, report.changed) == (28, 1)
    assert candles(look) == before
    assert look("select candles from kite_series") == [(29,)]


@pytest.fixture(scope="module")
def shared(module_timescale_dsn: str) -> Iterator[tuple[str, Look]]:
    """One warehouse for many examples, and a second look into it."""
    with_schema(module_timescale_dsn)
    with looking(module_timescale_dsn) as look:
        yield module_timescale_dsn, look


_REPLY = st.tuples(
    st.sampled_from("ab"),
    st.integers(0, 6),  # first day
    st.integers(0, 6),  # days after it
    st.integers(-1, 6),  # settled days after it
    st.lists(st.sampled_from([100, 101, 0]), min_size=7, max_size=7),  # 0: quarantined
    st.lists(st.booleans(), min_size=7, max_size=7),  # whether there is a candle
)


def _expected(replies: list[tuple[Any, ...]]) -> dict[int, float]:
    """Return closes by day: the newest settled reply decides, whether it has a candle or not."""
    table: dict[int, float] = {}
    for _, first, more, settled, prices, there in replies:
        for number in range(min(more, settled) + 1):
            table.pop(first + number, None)
            if there[number] and prices[number]:
                table[first + number] = prices[number]
    return table


@given(replies=st.lists(_REPLY, min_size=1, max_size=5), order=st.randoms(use_true_random=False))
@settings(max_examples=examples(5), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_of_loading_gives_the_same_table(
    shared: tuple[str, Look],
    tmp_path_factory: pytest.TempPathFactory,
    replies: list[tuple[Any, ...]],
    order: Any,
) -> None:
    """Property 23: two files, loads at any time between replies that came at any time."""
    dsn, look = shared
    look("truncate kite_ohlcv_historic, kite_load_ledger, kite_series, kite_quarantine")
    folder = tmp_path_factory.mktemp("order")
    hands = {name: Hand(folder / f"{name}.duckdb", dsn) for name in "ab"}
    minutes = list(enumerate(replies))
    order.shuffle(minutes)
    for minute, (name, first, more, settled, prices, there) in minutes:
        days = [number for number in range(more + 1) if there[number]]
        rows = [candle(day(first + number), prices[number]) for number in days]
        hands[name].reply(first, first + more, rows, minute=minute, settled=first + settled)
        if order.random() < 0.4:
            order.choice(list(hands.values())).load()
    for hand in order.sample(list(hands.values()), 2):
        hand.load()
    assert closes(look) == _expected(replies)
    assert look("select coalesce(sum(candles), 0) from kite_series") == [(len(closes(look)),)]


def test_a_password_does_not_show_in_the_options_of_a_load() -> None:
    """The DSN may hold a password: whoever prints or logs the options does not print it."""
    options = LoadOptions("postgresql://kite:hunter2@db/kite")
    assert "hunter2" not in f"{options} {options!r}"


def test_as_of_shows_what_was_known_then(hand: Hand, look: Look, plain_dsn: str) -> None:
    """`--as-of` takes replies fetched by then, settled or not as they were, and nothing newer."""
    hand.prices(0, 3, 100)
    hand.prices(2, 5, 101, minute=10)
    then = datetime(2026, 11, 23, 6, 35, tzinfo=UTC)
    with_schema(plain_dsn)
    assert hand.replay(as_of=then, dsn=plain_dsn).new == 4
    assert hand.replay(as_of=then, dsn=plain_dsn).new == 0
    with looking(plain_dsn) as inside:
        assert closes(inside) == dict.fromkeys(range(4), 100)
        hand.replay(as_of=then + timedelta(hours=1), dsn=plain_dsn)
        assert closes(inside)[3] == 101
    assert candles(look) == []
