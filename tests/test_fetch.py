"""Stage 1 against the sandbox: what is asked, in which order, and what is told of it."""

import itertools
import logging
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitepipe import gaps
from kitepipe.errors import UsageError
from kitepipe.model import IST, Interval, Window
from tests.fetch_help import SOME, asked, coverage, fetch, settings_for, twice
from tests.marks import examples
from tests.sandbox_asking import NOW, ist, sandbox

BEGIN, TODAY = date(2015, 1, 1), NOW.date()


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
    assert report.found_rate is None
    assert report.windows_planned == report.windows_done == report.requests == report.replies
    assert report.requests == len(first) == 3 * (3 + 11)
    assert twice(first) == []
    assert (again.requests, again.instruments, again.exit_code) == (0, 3, 0)
    whole = {"day": Window(BEGIN, TODAY), "60minute": Window(date(2015, 2, 1), TODAY)}
    assert coverage(tmp_path / "s.duckdb") == {
        (symbol, interval): [window] for symbol in SOME[:3] for interval, window in whole.items()
    }


@settings(max_examples=examples(6))
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


@pytest.mark.parametrize("workers", [1, 8])
def test_a_smaller_cap_is_learnt_once(tmp_path: Path, workers: int) -> None:
    """The window is split at the cap that Kite names, and later ones are asked that wide."""
    with sandbox(caps={"day": 700}) as kite:
        told = settings_for(kite, tmp_path / "s.duckdb", parallel_workers=workers)
        report = fetch(kite, told)
        found = asked(kite)
    refused = [one for one in found if one.status == 400]
    assert 1 <= len(refused) <= min(workers, 3)
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


def test_a_search_for_holes_without_room_ends_no_fetch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All is staged by then; the run says that holes were not looked for, and why."""

    def without_room(*_: object) -> None:
        raise duckdb.OutOfMemoryException("Out of Memory Error: failed to offload data block")

    monkeypatch.setattr(gaps, "find_holes", without_room)
    with sandbox() as kite:
        report = fetch(kite, settings_for(kite, tmp_path / "s.duckdb"))
    assert (report.exit_code, report.replies, report.holes) == (0, 9, [])
    [said] = report.warnings
    assert "holes: not looked for: " in said
    assert "no room left on its disk" in said


def test_no_instrument_is_a_warning_and_an_unknown_symbol_an_error(tmp_path: Path) -> None:
    """A filter may match nothing; a name that is nobody's is mistyped."""
    with sandbox() as kite:
        told = settings_for(kite, tmp_path / "s.duckdb", tradingsymbols=(), segments=("NOWHERE",))
        report = fetch(kite, told)
        assert (report.exit_code, kite.requests.historical) == (0, 0)
        assert report.warnings == ["no listed instrument matches the filters: nothing to do"]
        mistyped = settings_for(kite, tmp_path / "s.duckdb", tradingsymbols=("NSE:INFY", "TCZ*"))
        assert fetch(kite, mistyped).warnings == [
            "tradingsymbols: TCZ* matches nothing that is listed"
        ]
        with pytest.raises(UsageError, match=r"INFI \(NSE:INFY\?\): no such"):
            fetch(kite, settings_for(kite, tmp_path / "s.duckdb", tradingsymbols=("INFI",)))


def test_bounds_that_leave_nothing_to_ask_are_told(tmp_path: Path) -> None:
    """A year that was mistyped is not taken for a night on which nothing was new."""
    with sandbox() as kite:
        asking = settings_for(kite, tmp_path / "s.duckdb", bootstrap_date=date(2026, 11, 2))
        today = kite.now.astimezone(IST).date()
        tomorrow = today + timedelta(days=1)
        late = fetch(kite, asking, first=tomorrow)
        assert late.warnings == [f"--from {tomorrow} is after today, {today}: nothing to ask"]
        early = fetch(kite, asking, last=date(2026, 11, 1))
        told = "--to 2026-11-01 is before bootstrap_date, 2026-11-02: nothing to ask"
        assert (early.warnings, kite.requests.historical) == ([told], 0)
        within = fetch(kite, asking, first=today, last=date(2026, 11, 2) + timedelta(days=90))
        assert (within.warnings, kite.requests.historical > 0) == ([], True)


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


def test_an_evening_session_is_held_until_it_is_over(tmp_path: Path) -> None:
    """Muhurat trades after the regular close: its day candle still grows at 18:30."""
    muhurat = date(2026, 11, 8)
    with sandbox() as kite:
        told = settings_for(kite, tmp_path / "s.duckdb", tradingsymbols=("INFY",))
        kite.set_now(ist(2026, 11, 8, 18, 30))
        assert fetch(kite, told).candles > 0
        assert coverage(told.staging)["INFY", "day"] == [Window(BEGIN, muhurat - timedelta(days=1))]
        kite.set_now(ist(2026, 11, 8, 21, 30))
        fetch(kite, told)
    assert coverage(told.staging)["INFY", "day"] == [Window(BEGIN, muhurat)]
