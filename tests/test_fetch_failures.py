"""What fails in a fetch: it stops nobody else, it is named, and the next run asks it again."""

import time
from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitepipe.errors import AllInstrumentsFailed, KiteUnreachable
from kitepipe.model import Interval, Window
from kitepipe.ratelimit import HEADROOM, WIDER
from kitepipe.sandbox import Faults
from tests.fetch_help import SOME, asked, coverage, fetch, rows, settings_for, twice
from tests.marks import examples
from tests.sandbox_asking import NOW, sandbox

BEGIN, TODAY = date(2015, 1, 1), NOW.date()
FAULTS = ["503", "html", "reset", "truncated", "short", "no_candles", "empty", "untyped"]


@settings(max_examples=examples(6))
@given(st.lists(st.sampled_from([*FAULTS, ""]), min_size=5, max_size=5))
def test_an_error_of_one_instrument_stops_no_other(kinds: list[str]) -> None:
    """Property 7: whatever Kite answers for some, the others are covered, and those are named."""
    broken = {symbol for symbol, kind in zip(SOME, kinds, strict=False) if kind}
    with TemporaryDirectory() as folder, sandbox() as kite:
        for symbol, kind in zip(SOME, kinds, strict=False):
            if kind:
                kite.fail(symbol, kind)
        told = settings_for(
            kite, Path(folder, "s.duckdb"), tradingsymbols=SOME[:6], max_attempts=2, batch_size=2
        )
        report = fetch(kite, told)
        covered = coverage(told.staging)
    assert covered == {(s, "day"): [Window(BEGIN, TODAY)] for s in set(SOME[:6]) - broken}
    named = Counter(failure.what.split()[0] for failure in report.failures)
    assert named == {f"NSE:{symbol}": 3 for symbol in broken}
    assert report.exit_code == (3 if broken else 0)


@settings(max_examples=examples(5))
@given(st.integers(0, 2**32), st.floats(0.05, 0.4), st.sampled_from(["503", "reset", "truncated"]))
def test_failures_do_not_stop_processing(seed: int, share: float, kind: str) -> None:
    """Property 16: after any failures every window was asked; the next run asks those that failed.

    Failed windows are holes, so that the second run needs no more requests than they are.
    """
    with TemporaryDirectory() as folder, sandbox(faults=Faults({kind: share}), seed=seed) as kite:
        told = settings_for(kite, Path(folder, "s.duckdb"), max_attempts=1, tradingsymbols=SOME[:4])
        report = fetch(kite, told)
        assert report.windows_done == report.windows_planned == len(asked(kite)) == 12
        assert twice(asked(kite)) == []
        assert len(report.failures) + report.replies == 12
        kite.faults(Faults())
        kite.clear_log()
        again = fetch(kite, told)
        names = {f"NSE:{symbol} day": kite.token_of(symbol) for symbol in SOME[:4]}
        covered = coverage(told.staging)
    failed = [failure.what.rpartition(" ") for failure in report.failures]
    expected = sorted((names[series], window) for series, _, window in failed)
    assert sorted((one.token, str(one.window)) for one in asked(kite)) == expected
    assert again.requests == len(expected)
    assert covered == {(symbol, "day"): [Window(BEGIN, TODAY)] for symbol in SOME[:4]}


def test_an_outage_ends_the_run(tmp_path: Path) -> None:
    """Twenty windows in a row fail, whosever they are: Kite is away, and no more is asked."""
    with sandbox(faults=Faults({"503": 1})) as kite:
        told = settings_for(kite, tmp_path / "s.duckdb", tradingsymbols=SOME, max_attempts=2)
        with pytest.raises(KiteUnreachable, match="20 windows failed one after another") as ended:
            fetch(kite, told)
        assert 40 <= kite.requests.historical <= 40 + 2 * told.parallel_workers
    assert rows(told.staging, "select count(*) from chunk where error like '%503%'") == [(20,)]
    assert ended.value.report
    assert len(ended.value.report.failures) == 20


def test_one_broken_instrument_is_no_outage(tmp_path: Path) -> None:
    """However many of its windows fail in a row, where others have come."""
    with sandbox() as kite:
        kite.fail("TCS", "500")
        told = settings_for(
            kite,
            tmp_path / "s.duckdb",
            tradingsymbols=("INFY", "TCS"),
            candle_interval=(Interval.MINUTE_15,),
            parallel_workers=1,  # INFY comes first, whole; then nothing but failures
            max_attempts=1,
        )
        report = fetch(kite, told)
    assert len(report.failures) >= 22
    assert {failure.what.split()[0] for failure in report.failures} == {"NSE:TCS"}
    assert report.exit_code == 3


def test_all_instruments_failed_is_an_exception(tmp_path: Path) -> None:
    """Too few windows for an outage, and still nothing came."""
    with sandbox(faults=Faults({"html": 1})) as kite:
        told = settings_for(kite, tmp_path / "s.duckdb", max_attempts=1)
        with pytest.raises(AllInstrumentsFailed, match="all 3 instruments failed; the first: NSE:"):
            fetch(kite, told)


@pytest.mark.parametrize("intervals", [(Interval.DAY,), (Interval.MINUTE_15, Interval.MINUTE_60)])
def test_the_last_instrument_failing_is_not_all(
    tmp_path: Path, intervals: tuple[Interval, ...]
) -> None:
    """Two are up to date, the third fails, once or twenty times in a row: that is incomplete."""
    with sandbox() as kite:
        told = settings_for(
            kite, tmp_path / "s.duckdb", tradingsymbols=SOME[:2], candle_interval=intervals
        )
        fetch(kite, told)
        kite.fail(SOME[2], "500")
        report = fetch(kite, replace(told, tradingsymbols=SOME[:3], max_attempts=1))
    assert {failure.what.split()[0] for failure in report.failures} == {f"NSE:{SOME[2]}"}
    assert (report.exit_code, report.instruments, report.replies) == (3, 3, 0)


def test_a_dump_that_cannot_be_had_is_kite_away(tmp_path: Path) -> None:
    """The session is good, the dump is refused: `run` loads what is staged, as without a session.

    The server admits two requests a second beside history: the third one is the dump.
    """
    with sandbox(rate_limit=1000, other_rate_limit=2) as kite:
        told = settings_for(kite, tmp_path / "s.duckdb", max_attempts=1)
        with pytest.raises(KiteUnreachable, match="instruments NSE: HTTP 429"):
            fetch(kite, told)
        assert kite.requests.historical == 0


def test_an_invalid_token_refuses_that_instrument_only(tmp_path: Path) -> None:
    """It is asked once, for all its intervals, and the rest are covered."""
    with sandbox() as kite:
        told = settings_for(
            kite, tmp_path / "s.duckdb", candle_interval=(Interval.DAY, Interval.MINUTE_60)
        )
        fetch(kite, told, first=TODAY + timedelta(days=1))  # only the dump
        dead = kite.token_of("RELIANCE")
        kite.delist("RELIANCE")
        report = fetch(kite, told)
        requests = [one for one in asked(kite) if one.token == dead]
        covered = coverage(told.staging)
    assert len(requests) == 1
    assert [f.what.split()[0] for f in report.failures] == ["NSE:RELIANCE"]
    assert "invalid token" in report.failures[0].why
    assert {symbol for symbol, _ in covered} == {"INFY", "TCS"}
    assert (report.exit_code, report.windows_done) == (3, report.windows_planned)


def test_a_429_costs_the_cool_down_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kite's limit, met by the others who share it: the run waits and comes through."""
    monkeypatch.setattr("kitepipe.kite.COOL_DOWN_S", 0.3)
    with sandbox(faults=Faults(script=["ok", "429"])) as kite:
        started = time.monotonic()
        report = fetch(kite, settings_for(kite, tmp_path / "s.duckdb"))
    assert (report.exit_code, report.retries, report.replies) == (0, 1, 9)
    assert report.found_rate == pytest.approx(10_000 / HEADROOM / WIDER)
    assert time.monotonic() - started >= 0.3
