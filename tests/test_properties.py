"""The numbered properties: each has a hypothesis test; those of whole loads stand here."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.load_help import Hand, candle, candles, day, footprint, with_schema
from tests.marks import examples
from tests.servers import Look, looking
from tests.staging_help import NOON

SYMBOLS = ("INFY", "SBIN", "TCS")
DEVIL = 666.0  # the price that the server refuses where a test says so

_NUMBERS = re.compile(r"Propert(?:y|ies) (\d+(?:(?:, | and )\d+)*)")
_TABLES = "kite_ohlcv_historic, kite_load_ledger, kite_series, kite_quarantine, kite_rebases"
_few = settings(
    max_examples=examples(3), suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def test_each_property_has_a_hypothesis_test() -> None:
    """Every number from 1 to 25 stands in the docstring of a test that hypothesis drives."""
    found: set[int] = set()
    for path in Path(__file__).parent.glob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and any(map(_is_given, node.decorator_list)):
                told = _NUMBERS.findall(ast.get_docstring(node) or "")
                found.update(int(number) for text in told for number in re.findall(r"\d+", text))
    assert sorted(set(range(1, 26)) - found) == []


def _is_given(decorator: ast.expr) -> bool:
    return (
        isinstance(decorator, ast.Call)
        and isinstance(decorator.func, ast.Name)
        and decorator.func.id == "given"
    )


@dataclass(frozen=True)
class Told:
    """A reply to stage: a candle on each of its days, some bad, the last ones not settled."""

    symbol: str
    first: int
    prices: list[float]
    unsettled: int
    rebase: bool

    def stage(self, hand: Hand, minute: int) -> None:
        """Put it into a staging file."""
        last = self.first + len(self.prices) - 1
        rows = [candle(day(self.first + n), price) for n, price in enumerate(self.prices)]
        hand.reply(
            *(self.first, last, rows),
            minute=minute,
            settled=last - self.unsettled,
            symbol=self.symbol,
            rebase=0.5 if self.rebase else None,
        )


_TOLD = st.builds(
    Told,
    symbol=st.sampled_from(SYMBOLS),
    first=st.integers(0, 6),
    prices=st.lists(st.sampled_from([100.0, 101.0, -1.0]), min_size=1, max_size=8),
    unsettled=st.integers(0, 2),
    rebase=st.sampled_from([False, False, False, True]),
)
_REPLIES = st.lists(_TOLD, min_size=1, max_size=5)


@pytest.fixture(scope="module")
def full(module_timescale_dsn: str) -> str:
    """A warehouse with TimescaleDB that many examples share."""
    return with_schema(module_timescale_dsn)


@pytest.fixture(scope="module")
def other(module_plain_dsn: str) -> str:
    """A second one, without TimescaleDB."""
    return with_schema(module_plain_dsn)


@pytest.fixture
def inside(full: str) -> Iterator[Look]:
    """A look into the first."""
    with looking(full) as look:
        yield look


def _staged(folder: str, dsn: str, replies: list[Told], load_after: set[int]) -> Hand:
    """Stage the replies one by one, and load after some of them."""
    hand = Hand(Path(folder, "a.duckdb"), dsn, SYMBOLS)
    for minute, told in enumerate(replies):
        told.stage(hand, minute)
        if minute in load_after:
            hand.load()
    return hand


# A held day of the first reply is settled by the second, which decides all of its dates.
_HELD = [Told("INFY", 0, [100.0, 100.0], 1, rebase=False), Told("INFY", 0, [100.0] * 2, 0, False)]


@example(replies=_HELD, load_after={0})
@given(replies=_REPLIES, load_after=st.sets(st.integers(0, 4)))
@_few
def test_load_twice_writes_nothing(
    full: str, inside: Look, replies: list[Told], load_after: set[int]
) -> None:
    """Property 22: whatever was loaded in whatever steps, again or as a replay: not a row moves."""
    inside(f"truncate {_TABLES}")
    with TemporaryDirectory() as folder:
        hand = _staged(folder, full, replies, load_after)
        hand.load()
        before = footprint(inside)
        for report in (hand.load(), hand.replay()):
            assert (report.new, report.changed, report.gone) == (0, 0, 0)
        assert footprint(inside) == before


@given(
    replies=_REPLIES,
    load_after=st.sets(st.integers(0, 4)),
    lost=st.sampled_from(["close = 100", "close = 101", "true", "false"]),
)
@_few
def test_replay_equals_the_first_run(
    full: str, inside: Look, other: str, replies: list[Told], load_after: set[int], lost: str
) -> None:
    """Property 21: into another database, and over a table of which candles were lost or spoilt."""
    with TemporaryDirectory() as folder, looking(other) as elsewhere:
        for look in (inside, elsewhere):
            look(f"truncate {_TABLES}")
        hand = _staged(folder, full, replies, load_after)
        hand.load()
        first = candles(inside)
        hand.replay(dsn=other)
        assert candles(elsewhere) == first
        inside(f"delete from kite_ohlcv_historic where {lost}")
        inside("update kite_ohlcv_historic set close = 1 where close = 101")
        hand.replay()
        assert candles(inside) == first
        assert inside("select coalesce(sum(candles), 0) from kite_series") == [(len(first),)]


@given(
    devils=st.sets(st.sampled_from(SYMBOLS)),
    days=st.integers(1, 40),
    at=st.integers(0, 39),
    before=st.integers(0, 40),
)
@_few
def test_a_series_is_committed_whole_or_not_at_all(
    full: str, inside: Look, devils: set[str], days: int, at: int, before: int
) -> None:
    """Property 15: refused in the middle of COPY or upsert, over an empty or a full table."""
    inside(f"truncate {_TABLES}")
    with TemporaryDirectory() as folder:
        hand = Hand(Path(folder, "a.duckdb"), full, SYMBOLS)
        for symbol in SYMBOLS if before else ():
            hand.prices(0, before - 1, 100, symbol=symbol)
        hand.load()
        old = set(candles(inside))
        for symbol in SYMBOLS:
            hand.prices(0, days - 1, 101, symbol=symbol, minute=1)
        for symbol in devils:
            hand.reply(at, at, [candle(day(at), DEVIL)], symbol=symbol, minute=2)
        inside(f"alter table kite_ohlcv_historic add constraint no_devil check (close <> {DEVIL})")
        try:
            report = hand.load()
        finally:
            inside("alter table kite_ohlcv_historic drop constraint no_devil")
        assert {f.what for f in report.failures} == {f"NSE:{symbol} day" for symbol in devils}
        after = candles(inside)
        assert {row for row in after if row[1] in devils} == {r for r in old if r[1] in devils}
        new = [row for row in after if row[1] not in devils and row[7] == 101]
        assert len(new) == days * (3 - len(devils))
        loaded = (
            "select distinct tradingsymbol from kite_load_ledger "
            "join kite_instruments using (instrument_id) where fetched_at > %s"
        )
        assert {row[0] for row in inside(loaded, NOON + timedelta(seconds=30))} == (
            set(SYMBOLS) - devils
        )
        hand.load()
        assert sum(row[7] == DEVIL for row in candles(inside)) == len(devils)
