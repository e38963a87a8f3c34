"""A load or replay lets others go first: a fetch has only the hours that Kite gives."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event, Thread

import pytest

from kitepipe import pipeline
from kitepipe.config import Settings
from kitepipe.errors import KitepipeError, StagingError
from kitepipe.holder import is_awaited
from kitepipe.progress import Meter, Progress
from kitepipe.summary import LoadReport
from tests.load_help import Hand, candle, day, with_schema
from tests.servers import Look
from tests.staging_help import Other, other

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
def hand(tmp_path: Path, plain_dsn: str) -> Hand:
    """A staging file with a reply for each symbol."""
    hand = Hand(tmp_path / "kitepipe.duckdb", with_schema(plain_dsn), SYMBOLS)
    for symbol in SYMBOLS:
        hand.reply(0, 0, [candle(day(0))], symbol=symbol)
    return hand


class _Begun:
    """A load in a thread, begun and held at its first series; `end` returns how it ended."""

    def __init__(self, verb: Verb, settings: Settings, *, wait: bool) -> None:
        self._held = _Held()
        self._load = Future[LoadReport]()
        self._thread = Thread(target=self._run, args=(partial(verb, settings, wait=wait),))
        self._thread.start()
        assert self._held.begun.wait(30)

    def _run(self, load: Callable[[Progress], LoadReport]) -> None:
        try:
            self._load.set_result(load(self._held))
        except KitepipeError as error:
            self._load.set_exception(error)

    def go(self) -> None:
        """Let it go on."""
        self._held.go.set()

    @property
    def is_over(self) -> bool:
        """Tell whether it has ended."""
        return self._load.done()

    def end(self) -> LoadReport:
        """Return its report, or raise what ended it."""
        return self._load.result(timeout=30)


@contextmanager
def _let_in(hand: Hand, load: _Begun) -> Iterator[Other]:
    """Have another process wait for the file, and be in it: the load waits for its end."""
    with other(WAITING_WRITER, hand.settings.staging) as fetch:
        deadline = time.monotonic() + 30
        while not is_awaited(hand.settings.staging):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        load.go()
        assert fetch.heard() == "in"
        yield fetch
        fetch.tell()


@pytest.mark.parametrize("wait", [False, True])
@pytest.mark.parametrize("workers", [1, 2])
def test_who_waits_for_a_load_goes_before_its_next_series(
    verb: Verb,
    hand: Hand,
    look: Look,
    monkeypatch: pytest.MonkeyPatch,
    *,
    workers: int,
    wait: bool,
) -> None:
    """With --wait or without, the load goes on after it: nothing is left out, nor done twice."""
    if workers > 1:
        monkeypatch.setattr("kitepipe.load.GROUP_BYTES", 0)  # else one takes all four
    load = _Begun(verb, replace(hand.settings, load_workers=workers), wait=wait)
    with _let_in(hand, load):
        time.sleep(0.5)  # the load comes back, and waits
        loaded = look("select count(*) from kite_ohlcv_historic")[0][0]
        assert (1 <= loaded <= workers, load.is_over) == (True, False)
    report = load.end()
    assert (report.series, report.replies, report.new) == (4, 4, 4)


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_that_is_another_when_the_load_comes_back_is_not_loaded(
    hand: Hand, look: Look, tmp_path: Path, *, replaced: bool
) -> None:
    """Its keys name other instruments; what was loaded before is reported with the error."""
    another = Hand(tmp_path / "another.duckdb", "", SYMBOLS[::-1]).settings.staging
    load = _Begun(pipeline.load, replace(hand.settings, load_workers=1), wait=False)
    with _let_in(hand, load):
        if replaced:
            another.replace(hand.settings.staging)
        else:
            hand.settings.staging.rename(tmp_path / "away.duckdb")
    told = "was replaced while others had it" if replaced else "no such file|not exist"
    with pytest.raises(StagingError, match=told) as raised:
        load.end()
    assert isinstance(raised.value.report, LoadReport)
    assert raised.value.report.new == 1
    assert look("select count(*) from kite_ohlcv_historic") == [(1,)]
