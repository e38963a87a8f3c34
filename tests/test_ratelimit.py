"""The limiter: evenly spaced releases, whoever asks, however often sleep returns early."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitepipe.ratelimit import HEADROOM, RateLimiter
from tests.marks import examples

RATES = st.floats(0.1, 1000)


class FalseTime:
    """A clock that only sleeping moves, and an alarm that may ring early."""

    def __init__(self, share: float = 1.0) -> None:
        self.now = 1000.0
        self.share = share  # of each sleep that is slept; the rest takes another call
        self.slept: list[float] = []

    def clock(self) -> float:
        """Return monotonic seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Move the clock, and remember for how long."""
        self.slept.append(seconds)
        # At least a microsecond, or halving would never arrive.
        self.now += max(seconds * self.share, min(seconds, 1e-6))

    def limiter(self, rate: float) -> RateLimiter:
        """Return a limiter that lives in this time."""
        return RateLimiter(rate, clock=self.clock, sleep=self.sleep)


@given(RATES, st.lists(st.floats(0, 20), min_size=1, max_size=20), st.floats(0.3, 1))
def test_releases_are_never_closer_than_the_rate_allows(
    rate: float, pauses: list[float], share: float
) -> None:
    """Property 12: between two requests lies the minimum delay, and nobody waits for nothing."""
    world = FalseTime(share)
    limiter = world.limiter(rate)
    spacing, before = HEADROOM / rate, float("-inf")
    for pause in pauses:
        world.now += pause
        earliest = max(world.now, before + spacing)
        limiter.wait_if_needed()
        assert world.now == pytest.approx(earliest, abs=2e-6)
        assert world.now >= before + 1 / rate
        before = world.now


@given(st.integers(1, 8), st.integers(1, 6), RATES)
@settings(max_examples=examples(25))
def test_threads_share_one_pace(threads: int, calls: int, rate: float) -> None:
    """Property 20: n requests from any number of threads take n - 1 spacings, to the instant."""
    world = FalseTime()
    limiter = world.limiter(rate)

    def ask(_: int) -> None:
        for _ in range(calls):
            limiter.wait_if_needed()

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(ask, range(threads)))
    spacings = threads * calls - 1
    assert world.now - 1000 == pytest.approx(spacings * HEADROOM / rate, rel=1e-6, abs=1e-6)
    assert all(seconds <= HEADROOM / rate + 1e-9 for seconds in world.slept)


def test_there_is_no_burst_after_a_rest() -> None:
    """A limiter that has not been asked for long saves nothing up."""
    world = FalseTime()
    limiter = world.limiter(2)
    limiter.wait_if_needed()
    world.now += 100
    limiter.wait_if_needed()
    assert world.slept == []
    limiter.wait_if_needed()
    assert world.slept == pytest.approx([HEADROOM / 2])


def test_rate_zero_is_no_limit() -> None:
    """For a sandbox that has none; a negative rate is a mistake."""
    world = FalseTime()
    limiter = world.limiter(0)
    for _ in range(5):
        limiter.wait_if_needed()
    assert world.slept == []
    with pytest.raises(ValueError, match="negative"):
        RateLimiter(-1)


@given(st.floats(0, 30))
def test_a_pause_holds_everybody(seconds: float) -> None:
    """After a 429 the next request waits for the pause or for the spacing, whatever is longer."""
    world = FalseTime()
    limiter = world.limiter(1)
    limiter.pause(seconds, limiter.wait_if_needed())
    limiter.wait_if_needed()
    assert world.now - 1000 == pytest.approx(max(seconds, HEADROOM))


def test_a_pause_reaches_those_who_already_wait() -> None:
    """A worker that sleeps for its turn sleeps on when another one meets a 429."""
    world = FalseTime()
    limiter = RateLimiter(1, clock=world.clock, sleep=lambda s: _pause_once(s))
    paused: list[float] = []

    def _pause_once(seconds: float) -> None:
        if not paused:
            paused.append(seconds)
            limiter.pause(10, turn)
        world.sleep(seconds)

    turn = limiter.wait_if_needed()
    limiter.wait_if_needed()
    assert world.now - 1000 == pytest.approx(10)


def test_a_sleep_that_raises_lets_the_others_go_on() -> None:
    """At the end of a run sleepers wake with an exception; no lock is left behind."""
    ends = threading.Event()

    def sleep(seconds: float) -> None:
        if ends.wait(min(seconds, 30)):
            raise InterruptedError

    limiter = RateLimiter(0.01, sleep=sleep)
    limiter.wait_if_needed()
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(limiter.wait_if_needed) for _ in range(4)]
        started = time.monotonic()
        ends.set()
        assert all(isinstance(one.exception(5), InterruptedError) for one in waiting)
    assert time.monotonic() - started < 2
