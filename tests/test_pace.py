"""The limiter on a line to Kite: what it makes of play in arrivals, and of limits that change."""

from collections.abc import Callable
from itertools import pairwise

import pytest

from kitepipe.ratelimit import HEADROOM, RETRY_FALL_S, RETRY_PLAY_S, RateLimiter
from tests.pace_help import COOL_DOWN_S, Line

RUN_S = 300.0
SEEDS = range(8)


def _falls(start: float, end: float, rate: float = 2.0) -> Callable[[float], float]:
    return lambda now: rate if start <= now < end else 3.0


@pytest.mark.parametrize("seed", SEEDS)
def test_with_20_ms_of_play_nothing_is_refused(seed: int) -> None:
    """Over a whole run it keeps to 97 % of the limit, and tells no other rate."""
    line = Line(0.020, seed=seed)
    line.run(RUN_S)
    assert line.pauses() == 0
    assert line.rate(0, RUN_S) >= 0.97 * 3
    assert line.limiter.found is None


@pytest.mark.parametrize("seed", SEEDS)
def test_with_50_ms_of_play_it_finds_the_closest_spacing(seed: int) -> None:
    """A few 429s lead to 5 % over a third of a second, or so little more that it costs no 1 %."""
    line = Line(0.050, seed=seed)
    line.run(RUN_S)
    assert 1 <= line.pauses() <= 3
    found = line.limiter.found
    assert found is not None
    assert 1.04 <= 3 / found <= 1.06
    line.run(4 * RUN_S)
    assert line.rate(RUN_S, 4 * RUN_S) >= 0.96 * 3 / 1.05


def test_what_was_refused_is_seldom_tried_again() -> None:
    """In a night of 3.4 hours the play costs no more than nine pauses, ever further apart."""
    line = Line(0.050)
    line.run(3.4 * 3600)
    assert line.pauses() <= 9
    assert line.pauses(0, 3600) > line.pauses(2.4 * 3600, 3.4 * 3600) >= 1
    assert line.rate(0, 3.4 * 3600) >= 0.98 * 3 / 1.05


@pytest.mark.parametrize("play_s", [0.0, 0.020, 0.050])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_limit_that_falls_is_found_within_a_minute(play_s: float, seed: int) -> None:
    """Four in a second became two: the second pause tells so, whatever the play."""
    line = Line(play_s, _falls(300, 900), seed)
    line.run(300 + 60 + 2 * RETRY_FALL_S)
    assert line.limiter.found is not None
    assert 2.0 / 1.07 <= line.limiter.found <= 2.0
    assert line.pauses(300, 360) <= 5
    assert line.pauses(300, 326) <= 2 + (play_s > 0.025)


@pytest.mark.parametrize("rate", [1.0, 2.0])
def test_a_fall_costs_little_however_long_it_lasts(rate: float) -> None:
    """Trials come ever more seldom, one 429 each; the rest of the hour is spent at the new rate."""
    line = Line(0.020, _falls(100, 3700, rate))
    line.run(3700)
    assert line.pauses() <= 9
    assert line.rate(100, 3700) >= 0.94 * rate


@pytest.mark.parametrize("seed", SEEDS)
def test_it_climbs_back_when_the_limit_returns(seed: int) -> None:
    """As fast as before, with nothing refused any more, one trial after it is back."""
    line = Line(0.020, _falls(100, 190), seed)
    line.run(400)
    assert line.pauses(190, 400) == 0
    assert line.rate(190 + 2 * RETRY_FALL_S, 400) >= 0.97 * 3
    assert line.limiter.found is None


def test_a_trial_that_has_not_held_yet_is_no_rate_that_was_found() -> None:
    """Until then the run would end with the rate of before."""
    line = Line(0.0, _falls(100, 140))
    line.run(100 + 25 + RETRY_FALL_S + 5)
    assert line.rate(100 + 25 + RETRY_FALL_S, 100 + 25 + RETRY_FALL_S + 5) > 2.5
    assert line.limiter.found == pytest.approx(2 / HEADROOM)


@pytest.mark.parametrize("seed", SEEDS)
def test_play_that_shows_while_the_limit_is_low_does_not_keep_it_low(seed: int) -> None:
    """Steps for play are undone as soon as the fall itself, or they would stand in its way."""
    line = Line(0.050, _falls(100, 190), seed)
    line.run(650)
    assert line.rate(450, 650) >= 2.2


def test_one_odd_429_slows_it_for_ten_minutes_by_a_hundredth() -> None:
    """Somebody else asked once: the old spacing comes back."""
    line = Line(0.0, _falls(100, 100.6, 1.0))
    line.run(100 + RETRY_PLAY_S)
    assert line.pauses() == 1
    assert line.limiter.found == pytest.approx(3 / HEADROOM / 1.01)
    line.run(100 + 2 * RETRY_PLAY_S + 30)
    assert (line.pauses(), line.limiter.found) == (1, None)


def test_nothing_is_sent_in_the_cool_down() -> None:
    """But for what was on its way when the 429 came back, 0.8 s at the most: no storm."""
    line = Line(0.050, _falls(100, 400, 1.0))
    line.run(500)
    refused = [one.at for one in line.sent if not one.taken]
    for first in refused:
        assert not [o.at for o in line.sent if first + 0.9 < o.at < first + COOL_DOWN_S]
    assert len(refused) <= 3 * line.pauses()


def test_refusals_that_were_on_their_way_count_as_one() -> None:
    """Three answers, one lesson; one that comes after the pause is of before it."""
    now = [0.0]
    limiter = RateLimiter(3, clock=lambda: now[0], sleep=lambda s: now.__setitem__(0, now[0] + s))
    turns = [limiter.wait_if_needed() for _ in range(9)]
    for turn in turns[-3:]:
        limiter.pause(10, turn)
    limiter.wait_if_needed()
    found = limiter.found
    limiter.pause(10, turns[-1])
    limiter.wait_if_needed()
    assert found == limiter.found == pytest.approx(3 / HEADROOM / 1.01)
    assert now[0] < 8 * HEADROOM / 3 + 10 + 1


def test_a_pause_that_was_too_short_is_followed_by_longer_ones() -> None:
    """Where the first request after it is refused, asking again has made the cool-down longer."""
    now = [0.0]
    limiter = RateLimiter(3, clock=lambda: now[0], sleep=lambda s: now.__setitem__(0, now[0] + s))
    passed = []
    for _ in range(8):
        limiter.pause(10, limiter.wait_if_needed())
        passed.append(now[0])
    waited = [round(later - before) for before, later in pairwise(passed)]
    assert waited == [10, 20, 40, 80, 80, 80, 80]
    limiter.wait_if_needed()
    limiter.pause(10, limiter.wait_if_needed())  # this one was long enough
    start = now[0]
    limiter.wait_if_needed()
    limiter.pause(10, limiter.wait_if_needed())
    limiter.wait_if_needed()
    assert now[0] - start == pytest.approx(80 + 10 + HEADROOM / 3, abs=1)


@pytest.mark.parametrize("every_s", [20, 60, 300, 590])
def test_refusals_that_are_not_of_our_making_do_not_slow_it_down_for_ever(every_s: int) -> None:
    """A 429 now and then for a whole day, at whatever pace: it stays near the limit."""
    now = [0.0]
    limiter = RateLimiter(3.0, clock=lambda: now[0], sleep=lambda s: now.__setitem__(0, now[0] + s))
    refused_at, before, turns = 0.0, 0.0, 0
    while now[0] < 24 * 3600:
        turn, before = limiter.wait_if_needed(), now[0]
        turns += 1
        if before - refused_at >= every_s:
            limiter.pause(COOL_DOWN_S, turn)
            refused_at = before
    working_s = 24 * 3600 * (1 - COOL_DOWN_S / every_s)
    assert turns >= 0.85 * 3 / HEADROOM * working_s


def test_a_wait_that_the_server_asks_for_is_not_doubled() -> None:
    """Our own cool-down is, up to 80 s, where the first request after it is refused."""
    now = [0.0]
    limiter = RateLimiter(3.0, clock=lambda: now[0], sleep=lambda s: now.__setitem__(0, now[0] + s))
    waits = []
    for seconds in (10.0, 10.0, 10.0, 10.0, 10.0, 3600.0):
        limiter.pause(seconds, limiter.wait_if_needed())
        began = now[0]
        limiter.wait_if_needed()
        waits.append(round(now[0] - began))
        limiter.pause(seconds, limiter._turns)
    assert max(waits[:-1]) <= 80
    assert waits[-1] == 3600
