"""Stage 1 against the sandbox: what is asked, in which order, and what failures leave behind."""

import itertools
import logging
import time
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitepipe.errors import AllInstrumentsFailed, KiteUnreachable, UsageError
from kitepipe.model import Interval, Window
from kitepipe.sandbox import Faults
from tests.fetch_help import SOME, asked, coverage, fetch, rows, settings_for, twice
from tests.sandbox_asking import NOW, sandbox

BEGIN, TODAY = date(2015, 1, 1), NOW.date()
FAULTS = ["503", "html", "reset", "truncated", "short", "no_candles", "empty", "untyped"]


def test_a_run_asks_what_is_open_and_the_next_asks_nothing(tmp_path: Path) -> None:
    """Every window once; the dates of every series are covered to the last settled one."""
    with sandbox() as kite:
        told = settings_for(
            kite, tmp_path / "s.duckdb", candle_interval=(Interval.DAY, Interval.MINUTE_60)
        )
        report = fetch(kite, told)
        first = asked(kite)
        again = fetch(kite, told)
        assert asked(kite) == first
    assert (report.exit_code, report.failures, report.warnings) == (0, [], [])
    assert report.windows_planned == report.windows_done == report.requests == report.replies
    assert report.requests == len(first) == 3 * (3 + 11)
    assert twice(first) == []
    assert (again.requests, again.instruments, again.exit_code) == (0, 3, 0)
    whole = {"day": Window(BEGIN, TODAY), "60minute": Window(date(2015, 2, 1), TODAY)}
    assert coverage(tmp_path / "s.duckdb") == {
        (symbol, interval): [window] for symbol in SOME[:3] for interval, window in whole.items()
    }


@settings(max_examples=6)
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


@settings(max_examples=5)
@given(st.integers(0, 2**32), st.floats(0.05, 0.7), st.sampled_from(["503", "reset", "truncated"]))
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


@settings(max_examples=6)
@given(st.integers(1, 5), st.integers(1, 4), st.sampled_from([40.0, 80.0]))
def test_batches_start_in_order_at_the_limits_pace(size: int, workers: int, rate: float) -> None:
    """Property 14: instruments start in the order of their batches, and the limit is never passed.

    Measured where requests arrive: one worker keeps the order exactly, several pass each other by
    no more than a few places; no second holds more than the limit, and none is refused.
    """
    order = sorted(SOME)
    with TemporaryDirectory() as folder, sandbox(rate_limit=rate) as kite:
        told = settings_for(
            kite,
            Path(folder, "s.duckdb"),
            tradingsymbols=SOME,
            bootstrap_date=date(2026, 1, 1),
            batch_size=size,
            parallel_workers=workers,
            rate_limit=rate,
        )
        fetch(kite, told)
        received = [entry.received for entry in kite.log if entry.kind == "historical"]
        seen = [one.token for one in asked(kite)]
        places = [seen.index(kite.token_of(symbol)) for symbol in order]
        assert kite.requests.too_many == 0
    assert all(abs(place - n) < 2 * workers - 1 for n, place in enumerate(places))
    assert len(received) == len(SOME)
    assert received[-1] - received[0] >= (len(SOME) - 1) / rate * 0.9
    assert all(b - a >= 0 for a, b in itertools.pairwise(received))


def test_batches_are_told_in_order(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A line for each batch as it starts, with its instruments."""
    caplog.set_level(logging.INFO, "kitepipe")
    with sandbox() as kite:
        fetch(kite, settings_for(kite, tmp_path / "s.duckdb", batch_size=2))
    assert [r.getMessage() for r in caplog.records if "batch" in r.getMessage()] == [
        "batch 1 of 2: NSE:INFY to NSE:RELIANCE",
        "batch 2 of 2: NSE:TCS to NSE:TCS",
    ]


def test_a_slow_instrument_holds_up_no_batch(tmp_path: Path) -> None:
    """The pool goes on with the next batches while one of the first still waits for its answer."""
    with sandbox() as kite:
        slow = kite.token_of("HDFCBANK")  # the first by name
        kite.fail("HDFCBANK", "stall", times=1)
        told = settings_for(
            kite,
            tmp_path / "s.duckdb",
            tradingsymbols=SOME,
            batch_size=2,
            parallel_workers=2,
            timeout_s=1.5,
        )
        assert fetch(kite, told).retries == 1
        found = asked(kite)
    second = [one.received for one in found if one.token == slow][1]
    others = [one.received for one in found if one.token != slow]
    assert (len(others), max(others) < second) == (7 * 3, True)


def test_windows_of_one_instrument_go_one_after_another(tmp_path: Path) -> None:
    """Those of all its intervals; instruments go side by side."""
    latency_s = 0.25
    with sandbox(latency_ms=latency_s * 1000) as kite:
        told = settings_for(
            kite,
            tmp_path / "s.duckdb",
            candle_interval=(Interval.DAY, Interval.MINUTE_60),
            bootstrap_date=date(2025, 6, 1),
        )
        fetch(kite, told)
        found = asked(kite)
    tokens = {one.token for one in found}
    for token in tokens:
        received = [one.received for one in found if one.token == token]
        assert len(received) == 3
        assert min(b - a for a, b in itertools.pairwise(received)) >= latency_s
    assert {one.token for one in found[:3]} == tokens
    assert found[2].received - found[0].received < latency_s


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
            max_attempts=1,
        )
        report = fetch(kite, told)
    assert len(report.failures) == 22
    assert report.exit_code == 3


def test_all_instruments_failed_is_an_exception(tmp_path: Path) -> None:
    """Too few windows for an outage, and still nothing came."""
    with sandbox(faults=Faults({"html": 1})) as kite:
        told = settings_for(kite, tmp_path / "s.duckdb", max_attempts=1)
        with pytest.raises(AllInstrumentsFailed, match="all 3 instruments failed; the first: NSE:"):
            fetch(kite, told)


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


@pytest.mark.parametrize("workers", [1, 8])
def test_a_smaller_cap_is_learnt_once(tmp_path: Path, workers: int) -> None:
    """The window is split at the cap that Kite names, and later ones are asked that wide."""
    with sandbox(caps={"day": 700}) as kite:
        told = settings_for(kite, tmp_path / "s.duckdb", parallel_workers=workers)
        report = fetch(kite, told)
        found = asked(kite)
    refused = [one for one in found if one.status == 400]
    assert len(refused) == min(workers, 3)
    assert {one.window.days for one in found if one.status == 200} <= set(range(1, 701))
    assert max(one.window.days for one in found if one.status == 200) == 700
    assert coverage(told.staging) == {(s, "day"): [Window(BEGIN, TODAY)] for s in SOME[:3]}
    assert report.windows_done == report.windows_planned == len(found) - len(refused)
    assert (report.exit_code, report.requests) == (0, len(found))


def test_the_clock_that_is_off_is_reported(tmp_path: Path) -> None:
    """Kite's clock is 13 hours behind ours: it settles dates, and the run says so once.

    Each window is asked once all the same: only Kite's clock tells when a new period begins.
    """
    with sandbox() as kite:
        told = settings_for(kite, tmp_path / "s.duckdb")
        behind = fetch(kite, told, ahead=timedelta(hours=13))
        assert behind.requests == 9
        assert fetch(kite, told, ahead=timedelta(hours=13)).requests == 0
    assert [w for w in behind.warnings if "780 minutes ahead of Kite's" in w] == behind.warnings
    assert len(behind.warnings) == 1
    assert coverage(told.staging)["INFY", "day"] == [Window(BEGIN, TODAY)]


def test_no_date_header_is_reported(tmp_path: Path) -> None:
    """Dates are then settled by the clock of this machine."""
    with sandbox(date_header=False) as kite:
        report = fetch(kite, settings_for(kite, tmp_path / "s.duckdb"))
    assert report.warnings == [
        "Kite's answers carry no Date: dates are settled by this machine's clock"
    ]


def test_no_instrument_is_a_warning_and_an_unknown_symbol_an_error(tmp_path: Path) -> None:
    """A filter may match nothing; a name that is nobody's is mistyped."""
    with sandbox() as kite:
        told = settings_for(kite, tmp_path / "s.duckdb", tradingsymbols=(), segments=("NOWHERE",))
        report = fetch(kite, told)
        assert (report.exit_code, kite.requests.historical) == (0, 0)
        assert report.warnings == ["no listed instrument matches the filters: nothing to do"]
        with pytest.raises(UsageError, match="INFI: no such instrument"):
            fetch(kite, settings_for(kite, tmp_path / "s.duckdb", tradingsymbols=("INFI",)))


def test_today_is_asked_again_until_it_is_settled(tmp_path: Path) -> None:
    """Before the close its candle is held; after the close it is covered and rests."""
    with sandbox() as kite:
        told = settings_for(kite, tmp_path / "s.duckdb", tradingsymbols=("INFY",))
        kite.set_now(NOW.replace(hour=12))
        fetch(kite, told)
        assert coverage(told.staging)["INFY", "day"] == [Window(BEGIN, TODAY - timedelta(days=1))]
        assert fetch(kite, told).requests == 0, "nothing can be settled yet"
        kite.set_now(NOW.replace(hour=16))
        assert (fetch(kite, told).requests, asked(kite)[-1].window) == (1, Window(TODAY, TODAY))
        assert coverage(told.staging)["INFY", "day"] == [Window(BEGIN, TODAY)]


def test_a_429_costs_the_cool_down_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kite's limit, met by the others who share it: the run waits and comes through."""
    monkeypatch.setattr("kitepipe.kite.COOL_DOWN_S", 0.3)
    with sandbox(faults=Faults(script=["ok", "429"])) as kite:
        started = time.monotonic()
        report = fetch(kite, settings_for(kite, tmp_path / "s.duckdb"))
    assert (report.exit_code, report.retries, report.replies) == (0, 1, 9)
    assert time.monotonic() - started >= 0.3
