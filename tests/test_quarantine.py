"""Candles in quarantine: shown, healed by later replies, the same in any order of loading."""

import itertools
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kitepipe import pipeline
from kitepipe.config import Settings
from kitepipe.errors import UsageError, WarehouseError
from kitepipe.sandbox import Sandbox
from tests.box_help import Box
from tests.load_help import Hand, candle, candles, day, footprint, with_schema
from tests.marks import examples
from tests.sandbox_asking import ist, sandbox
from tests.servers import Look, Rows, looking
from tests.servers_local import free_port

_OPEN = "select trade_date, rule, reply_id, position, raw from kite_quarantine order by 3, 4"


def make_hand(folder: Path, dsn: str) -> Hand:
    """A staging file that is written by hand, and an empty warehouse."""
    return Hand(folder / "a.duckdb", dsn)


def test_status_shows_what_is_quarantined(hand: Hand) -> None:
    """Instrument, interval, date, rule, reply and raw text, the newest reply first."""
    first = hand.reply(0, 1, [candle(day(0)), candle(day(1), -1)])
    second = hand.reply(2, 3, [candle(day(2)), "x", candle(day(9))], minute=1)
    assert hand.load().exit_code == 3
    told = pipeline.status(hand.settings, quarantine=True)
    assert told.quarantine is not None
    found = [(q.instrument, q.interval, q.trade_date, q.rule) for q in told.quarantine]
    assert found == [
        ("NSE:INFY", "day", None, "malformed"),
        ("NSE:INFY", "day", None, "outside_window"),
        ("NSE:INFY", "day", day(1), "non_positive_price"),
    ]
    assert [(q.reply_id, q.position) for q in told.quarantine] == [
        (second, 1),
        (second, 2),
        (first, 1),
    ]
    assert json.loads(told.quarantine[2].raw)[1] == -1
    assert (told.quarantined, told.exit_code) == (3, 0)
    assert pipeline.status(hand.settings).quarantine is None


def test_the_command_shows_them_with_and_without_json(hand: Hand, tmp_path: Path) -> None:
    """A line for each candle, and all of it in --json."""
    hand.reply(0, 1, [candle(day(0)), candle(day(1), -1)])
    hand.load()
    with sandbox() as kite:
        box = Box(tmp_path, kite, hand.settings.dsn or "")
        shown = box.kitepipe("status", "--quarantine", "--staging", "a.duckdb")
        report = box.kitepipe("status", "--quarantine", "--staging", "a.duckdb", "--json").report
    (line,) = [text for text in shown.out.splitlines() if text.startswith("  bad ")]
    assert "NSE:INFY day 2026-01-06: non_positive_price: [" in line
    (candle_told,) = report["quarantine"]
    assert (candle_told["rule"], candle_told["trade_date"]) == ("non_positive_price", "2026-01-06")


def test_without_a_database_there_is_no_answer(hand: Hand) -> None:
    """No DSN is exit 2, one that cannot be reached exit 13: an empty list would be a lie."""
    with pytest.raises(UsageError):
        pipeline.status(Settings(staging=hand.settings.staging), quarantine=True)
    down = Settings(dsn=f"host=127.0.0.1 port={free_port()} dbname=x")
    with pytest.raises(WarehouseError):
        pipeline.status(down, quarantine=True)


def test_a_later_good_reply_heals(hand: Hand, look: Look) -> None:
    """Dates that the new reply decides are healed, others not; later runs end well."""
    hand.reply(0, 3, [candle(day(0), -1), candle(day(1), -1), ["x"]])
    assert (hand.load().exit_code, len(look(_OPEN))) == (3, 3)
    hand.reply(1, 3, [candle(day(1)), candle(day(2))], minute=1)
    assert hand.load().exit_code == 0
    assert [row[:2] for row in look(_OPEN)] == [
        (day(0), "non_positive_price"),
        (None, "missing_field"),  # its reply decides a date still
    ]
    hand.reply(0, 0, [candle(day(0))], minute=2)
    assert (hand.load().exit_code, look(_OPEN)) == (0, [])
    assert look("select sum(candles_quarantined) from kite_load_ledger") == [(0,)]
    before = footprint(look)
    assert hand.replay().exit_code == 0
    assert footprint(look) == before


def test_a_candle_that_is_still_bad_stands_once(hand: Hand, look: Look) -> None:
    """The newest reply's text is shown, not that of each."""
    hand.reply(0, 1, [candle(day(0), -1)])
    hand.load()
    newest = hand.reply(0, 1, [candle(day(0), -2)], minute=1)
    assert hand.load().exit_code == 3
    ((trade_date, rule, reply_id, _, raw),) = look(_OPEN)
    assert (trade_date, rule, reply_id) == (day(0), "non_positive_price", newest)
    assert json.loads(raw)[1] == -2


def test_a_new_epoch_heals_the_old_one(hand: Hand, look: Look) -> None:
    """What was fetched before history was re-based says nothing any more."""
    hand.reply(0, 3, [candle(day(0), -1), candle(day(1)), ["x"]])
    hand.reply(4, 4, [["x"]], minute=1, settled=3)
    hand.load()
    assert len(look(_OPEN)) == 3
    hand.prices(0, 4, 50, minute=2, rebase=0.5)
    assert (hand.load().exit_code, look(_OPEN)) == (0, [])


_REPLIES = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.integers(0, 3),
        st.lists(st.sampled_from([100.0, -1.0, -2.0, None]), min_size=4, max_size=4),
        st.booleans(),
    ),
    min_size=1,
    max_size=5,
)


@given(replies=_REPLIES, cut=st.integers(0, 5))
@settings(max_examples=examples(8), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_quarantine_is_the_same_in_any_order_of_loading(
    tmp_path: Path,
    module_plain_dsn: str,
    replies: list[tuple[int, int, list[float | None], bool]],
    cut: int,
) -> None:
    """Two staging files, in pieces or at once, in either order, replayed: one quarantine."""
    number = next(_NUMBERS)
    found: list[Rows] = []
    with_schema(module_plain_dsn)
    with looking(module_plain_dsn) as look:
        for way in ("together", "apart"):
            look(f"truncate {_TABLES} cascade")
            paths = [tmp_path / f"{number}{way}{n}.duckdb" for n in range(2)]
            hands = [Hand(path, module_plain_dsn) for path in paths]
            for minute, (first, days, prices, whole) in enumerate(replies):
                rows: list[object] = [
                    candle(day(first + n), price) if price else "x"
                    for n, price in enumerate(prices[: days + 1])
                ]
                settled = None if whole else first - 1
                hands[minute % 2].reply(first, first + days, rows, minute=minute, settled=settled)
                if way == "apart" and minute >= cut:
                    hands[minute % 2].load()
            for one in hands[::-1] if way == "apart" else hands:
                one.load()
            found.append(look(_BY_TIME))
            counts = look("select coalesce(sum(candles_quarantined), 0) from kite_load_ledger")
            assert counts == [(len(found[-1]),)]
            before = footprint(look)
            for one in hands:
                one.replay()
            assert footprint(look) == before
    assert found[0] == found[1]


_TABLES = "kite_ohlcv_historic, kite_load_ledger, kite_series, kite_quarantine, kite_instruments"
_BY_TIME = (
    "select trade_date, rule, fetched_at, position, raw from kite_quarantine "
    "join kite_load_ledger using (staging_id, reply_id) order by 3, 4"
)
_NUMBERS = itertools.count()


def test_a_run_after_a_healed_one_ends_well(tmp_path: Path, warehouse_dsn: str) -> None:
    """Kite serves a bad candle, is asked again when it serves a good one: 3, then 0 and 0."""
    with (
        sandbox(api_key=f"key{tmp_path.name}", other_rate_limit=1000) as kite,
        looking(warehouse_dsn) as look,
    ):
        box = Box(tmp_path, kite, warehouse_dsn)
        args = ("run", "--tradingsymbols", "NSE:INFY", "--from", "2026-11-02")
        _spoil(kite)
        assert box.kitepipe(*args).code == 3
        assert box.kitepipe(*args).code == 0  # an old one is no failure of this run
        _heal(kite)
        assert box.kitepipe(*args, "--refetch").code == 0
        assert (look(_OPEN), len(candles(look))) == ([], 15)


def _spoil(kite: Sandbox) -> None:
    kite.correct("NSE:INFY", "day", ist(2026, 11, 18), high=1.0)


def _heal(kite: Sandbox) -> None:
    kite.correct("NSE:INFY", "day", ist(2026, 11, 18), high=1e6)
