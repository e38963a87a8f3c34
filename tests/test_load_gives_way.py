"""A load or replay lets others go first: a fetch has only the hours that Kite gives."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

import pytest

from kitepipe import pipeline
from kitepipe.holder import is_awaited
from kitepipe.progress import Meter
from kitepipe.summary import LoadReport
from tests.load_help import Hand, candle, day, with_schema
from tests.servers import Look
from tests.staging_help import other

SYMBOLS = ("INFY", "SBIN", "TCS", "WIPRO")
WAITING_WRITER = """
with writing(Path(sys.argv[1]), API_ROOT, "fetch", wait=True):
    say("in")
    hear()
"""
Verb = Callable[..., LoadReport]


class _Held:
    """A progress that keeps a load at its first series until it may `go`; `begun`: it is there."""

    def __init__(self) -> None:
        self.begun, self.go = Event(), Event()

    @contextmanager
    def meter(self, _name: str, _total: int, _unit: str) -> Iterator[Meter]:
        """Yield itself."""
        yield self

    def advance(self, _done: int = 1, _detail: str = "") -> None:
        """Hold the load; later series pass."""
        self.begun.set()
        assert self.go.wait(30)

    def grow(self, _more: int) -> None:
        """Nothing is to be done."""


@pytest.fixture(params=[pipeline.load, pipeline.replay], ids=["load", "replay"])
def verb(request: pytest.FixtureRequest) -> Verb:
    """What gives way."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def hand(tmp_path: Path, plain_dsn: str, monkeypatch: pytest.MonkeyPatch) -> Hand:
    """A staging file with a reply for each symbol; series are begun one after another."""
    monkeypatch.setattr("kitepipe.load.GROUP_BYTES", 0)
    hand = Hand(tmp_path / "kitepipe.duckdb", with_schema(plain_dsn), SYMBOLS)
    hand.settings = replace(hand.settings, load_workers=1)
    for symbol in SYMBOLS:
        hand.reply(0, 0, [candle(day(0))], symbol=symbol)
    return hand


@contextmanager
def _begun(
    verb: Verb, hand: Hand, *, wait: bool
) -> Iterator[tuple[_Held, list[LoadReport], Thread]]:
    """Begin a load in a thread, and come back when its first series is loaded."""
    held, reports = _Held(), list[LoadReport]()
    thread = Thread(target=lambda: reports.append(verb(hand.settings, held, wait=wait)))
    thread.start()
    try:
        assert held.begun.wait(30)
        yield held, reports, thread
    finally:
        held.go.set()
        thread.join(30)


def _loaded(look: Look) -> int:
    return int(look("select count(*) from kite_ohlcv_historic")[0][0])


def _until_awaited(path: Path) -> None:
    deadline = time.monotonic() + 30
    while not is_awaited(path):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("wait", [False, True])
def test_who_waits_for_a_load_goes_before_its_next_series(
    verb: Verb, hand: Hand, look: Look, *, wait: bool
) -> None:
    """With --wait or without, the load goes on after it: nothing is left out, nor done twice."""
    with _begun(verb, hand, wait=wait) as (held, reports, thread):
        with other(WAITING_WRITER, hand.settings.staging) as fetch:
            _until_awaited(hand.settings.staging)
            held.go.set()
            assert fetch.heard() == "in"
            assert (_loaded(look), thread.is_alive()) == (1, True)
            fetch.tell()
        thread.join(30)
        assert (_loaded(look), [report.new for report in reports]) == (4, [4])
