"""Kite's door: what is sent, what comes back, how long is waited, how often it is tried."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kitepipe.kite
from kitepipe.errors import RequestFailed, WindowTooWide
from kitepipe.model import Window
from kitepipe.ratelimit import RateLimiter
from kitepipe.sandbox import Faults
from kitepipe.sandbox.replies import Reply, too_many_requests
from tests.kite_help import WINDOW, World, door, odd_sandbox, series_of
from tests.marks import examples
from tests.sandbox_asking import NOW, ist, sandbox


def test_a_reply_is_the_body_as_it_came() -> None:
    """Byte for byte after content decoding, with what it contains and both clocks."""
    for gzip in (False, True):
        with sandbox(gzip_history=gzip) as kite, door(kite) as client:
            started = datetime.now(UTC)
            reply = client.fetch_reply(series_of(kite), WINDOW)
        assert reply.body.startswith('{"status":"success","data":{"candles":[["2026-10-01T')
        assert reply.body.endswith("]]}}")
        assert reply.contents.rows == reply.body.count("+0530")
        assert reply.contents.first_candle == date(2026, 10, 1)
        assert reply.contents.newest_sessions[0] == date(2026, 11, 20)
        assert reply.http_date == NOW
        assert started <= reply.fetched_at <= datetime.now(UTC)
        assert (reply.attempts, client.requests) == (1, 1)


@pytest.mark.parametrize("interval", ["day", "minute"])
def test_a_window_is_asked_in_indian_wall_clock_time(interval: str) -> None:
    """Whole dates, no offset, oi and continuous as 0 or 1."""
    window = Window(date(2026, 11, 19), date(2026, 11, 20))
    with sandbox() as kite, door(kite) as client:
        client.fetch_reply(series_of(kite, interval=interval, oi=True), window)
        asked = urlsplit(kite.log[0].path)
    assert asked.path.endswith(f"/{interval}")
    assert parse_qs(asked.query) == {
        "from": ["2026-11-19 00:00:00"],
        "to": ["2026-11-20 23:59:59"],
        "continuous": ["0"],
        "oi": ["1"],
    }


def test_an_empty_reply_is_an_answer() -> None:
    """A window without sessions comes back without candles, at the first attempt."""
    with sandbox() as kite, door(kite) as client:
        reply = client.fetch_reply(series_of(kite), Window(date(2026, 11, 21), date(2026, 11, 22)))
    assert (reply.contents.rows, reply.contents.first_candle, reply.attempts) == (0, None, 1)


@given(st.floats(0.001, 10), st.floats(0.001, 1000), st.integers(2, 12))
@settings(max_examples=examples(15))
def test_backoff_grows(base: float, cap: float, attempts: int) -> None:
    """Property 8: no wait is shorter than the one before, up to the cap.

    Each lies in the upper half of base * 2^n, and none is longer than the cap.
    """
    world = World()
    options: dict[str, Any] = {
        "backoff_base_s": base,
        "backoff_cap_s": cap,
        "max_attempts": attempts,
    }
    with (
        sandbox(faults=Faults(rates={"503": 1})) as kite,
        door(kite, world, **options) as client,
        pytest.raises(RequestFailed, match="503") as failed,
    ):
        client.fetch_reply(series_of(kite), WINDOW)
    assert failed.value.attempts == client.requests == attempts
    assert len(world.slept) == attempts - 1
    for number, slept in enumerate(world.slept):
        longest = min(base * 2**number, cap)
        assert longest / 2 <= slept <= longest
        if number and longest < cap:
            assert slept >= world.slept[number - 1]


def test_the_first_good_answer_ends_the_attempts() -> None:
    """Two failures and a success are three requests and one reply."""
    with sandbox(faults=Faults(script=["503", "reset"])) as kite, door(kite) as client:
        reply = client.fetch_reply(series_of(kite), WINDOW)
        assert kite.requests.historical == 3
    assert reply.attempts == 3


def test_too_many_requests_are_followed_by_a_cool_down() -> None:
    """Asking again within about 10 s would extend it: the limiter lets nobody through."""
    world = World()
    with sandbox(faults=Faults(script=["429"])) as kite, door(kite, world) as client:
        client.fetch_reply(series_of(kite), WINDOW)
    assert world.now - 1000 == pytest.approx(10, abs=0.001)


def test_an_html_429_is_one_too() -> None:
    """By its status, whatever stands in its body."""
    world = World()
    with sandbox(faults=Faults(script=["html429"])) as kite, door(kite, world) as client:
        client.fetch_reply(series_of(kite), WINDOW)
    assert world.now - 1000 == pytest.approx(10, abs=0.001)


@pytest.mark.parametrize(
    ("header", "waited"), [("25", 25.0), ("3", 3.0), ("²", 10.0), ("9" * 400, 10.0), ("-1", 10.0)]
)
def test_retry_after_is_honoured(header: str, waited: float) -> None:
    """What the server wishes replaces our own cool-down; nonsense does not."""
    world = World()
    told = Reply(429, too_many_requests().body, headers={"Retry-After": header})
    with odd_sandbox(told) as kite, door(kite, world) as client:
        client.fetch_reply(series_of(kite), WINDOW)
    assert world.now - 1000 == pytest.approx(waited, abs=0.001)


def test_retry_after_is_honoured_on_an_outage() -> None:
    """A 503 with a wish: the next attempt of this request waits for it."""
    world = World()
    told = Reply(503, b"{}", headers={"Retry-After": "40"})
    with odd_sandbox(told) as kite, door(kite, world) as client:
        client.fetch_reply(series_of(kite), WINDOW)
    assert world.slept == [40.0]


def test_a_429_pauses_all_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """After one worker's 429 none of the others sends anything until the cool-down is over."""
    monkeypatch.setattr(kitepipe.kite, "COOL_DOWN_S", 0.6)
    script = ["ok"] * 5 + ["429"]
    with (
        sandbox(faults=Faults(script=script), latency_ms=20) as kite,
        door(kite, limiter=RateLimiter(100)) as client,
    ):
        series = series_of(kite)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: client.fetch_reply(series, WINDOW), range(24)))
        log = kite.log
    refused = next(entry for entry in log if entry.status == 429)
    # The answer takes 20 ms to come back, and requests that left before are not called back.
    during = [e for e in log if 0.1 < e.received - refused.received < 0.6]
    assert (during, len(log)) == ([], 25)


def test_a_body_that_drips_is_given_up_in_time() -> None:
    """Every byte comes within the time-out per read; the whole body must come within it too."""
    for gzip in (False, True):
        options = {"drip_s": 0.01, "gzip_history": gzip}
        with (
            sandbox(faults=Faults(rates={"drip": 1}), **options) as kite,
            door(kite, timeout_s=0.3, max_attempts=1) as client,
        ):
            started = time.monotonic()
            with pytest.raises(RequestFailed, match=r"did not arrive within 0\.3 s"):
                client.fetch_reply(series_of(kite), WINDOW)
        assert time.monotonic() - started < 1.5


def test_a_stall_is_given_up_in_time() -> None:
    """Nothing is ever sent."""
    with (
        sandbox(faults=Faults(rates={"stall": 1})) as kite,
        door(kite, timeout_s=0.3, max_attempts=2) as client,
    ):
        started = time.monotonic()
        with pytest.raises(RequestFailed, match="did not answer in time"):
            client.fetch_reply(series_of(kite), WINDOW)
        assert time.monotonic() - started < 3
        assert kite.requests.historical == 2


def test_a_window_that_is_too_wide_is_told_with_the_cap() -> None:
    """Kite's message names the days; nothing is tried again."""
    with sandbox(caps={"day": 30}) as kite, door(kite) as client:
        with pytest.raises(WindowTooWide, match="interval exceeds max limit") as refused:
            client.fetch_reply(series_of(kite), WINDOW)
        assert (refused.value.max_days, client.requests) == (30, 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (format_datetime(NOW.astimezone(UTC), usegmt=True), NOW),
        ("Fri, 20 Nov 2026 14:30:00 -0000", NOW),
        ("Fri, 20 Nov 2026 20:00:00 +0530", NOW),
        ("yesterday", None),
        ("Fri, 31 Dec 9999 23:59:59 -1200", None),
    ],
)
def test_the_http_date_may_be_odd(text: str, expected: datetime | None) -> None:
    """A date that cannot be read is a date that is missing."""
    body = b'{"status":"success","data":{"candles":[]}}'
    with odd_sandbox(Reply(200, body, headers={"Date": text})) as kite, door(kite) as client:
        assert client.fetch_reply(series_of(kite), WINDOW).http_date == expected


def test_a_missing_http_date_is_none() -> None:
    """Then this machine's clock judges."""
    with sandbox(date_header=False) as kite, door(kite) as client:
        client.clock = lambda: ist(2026, 11, 20, 21)
        assert client.fetch_reply(series_of(kite), WINDOW).http_date is None
        assert client.check_session() == ist(2026, 11, 20, 21)


def test_the_dump_comes_as_csv() -> None:
    """Of one exchange or all, unpacked."""
    with sandbox() as kite, door(kite) as client:
        everything, at = client.fetch_instruments()
        one, _ = client.fetch_instruments("MCX")
    assert everything.splitlines()[0] == one.splitlines()[0]
    assert b"INFY" in everything
    assert b"INFY" not in one
    assert at == NOW


def test_candles_come_as_dicts_or_the_error_does() -> None:
    """The public call: dates are aware, a datetime counts as its Indian date, errors are told."""
    with sandbox() as kite, door(kite) as client:
        token, first = kite.token_of("INFY"), date(2026, 11, 19)
        found = client.fetch_historical_data(token, first, date(2026, 11, 20), "day")
        instant = ist(2026, 11, 20, 9).astimezone(UTC)
        wanted = (instant - timedelta(days=1), instant)
        assert found == client.fetch_historical_data(token, *wanted, "day")
        wrong = client.fetch_historical_data(7, first, first, "day")
        impossible = [
            client.fetch_historical_data(token, date(2026, 11, 20), first, "day"),
            client.fetch_historical_data(token, first, first, "daily"),
        ]
    assert isinstance(found, list)
    assert [candle["date"] for candle in found] == [ist(2026, 11, 19), ist(2026, 11, 20)]
    assert set(found[0]) == {"date", "open", "high", "low", "close", "volume", "oi"}
    assert isinstance(wrong, dict)
    assert (wrong["error_type"], wrong["code"]) == ("InstrumentRefused", 400)
    assert "invalid token" in wrong["error"]
    for refused, why in zip(impossible, ("is after 2026-11-19", "'daily' is not"), strict=True):
        assert isinstance(refused, dict)
        assert (refused["error_type"], refused["code"]) == ("ValueError", None)
        assert why in refused["error"]


def test_the_client_needs_no_twisted() -> None:
    """Importing the door neither loads Twisted nor needs it, nor 0.9 s for it."""
    program = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name.split('.')[0] in ('twisted', 'autobahn'): raise ImportError(name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "import kitepipe.kite, kiteconnect\n"
        "assert kiteconnect.KiteConnect\n"
        "print([name for name in sys.modules if 'twisted' in name or 'autobahn' in name])\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert (ran.stdout.strip(), ran.returncode) == ("[]", 0), ran.stderr
