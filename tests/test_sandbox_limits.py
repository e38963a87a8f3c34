"""The sandbox's request limits: a sliding second, counted on receipt."""

import time
from concurrent.futures import ThreadPoolExecutor

import requests
from hypothesis import given
from hypothesis import strategies as st

from kitepipe.sandbox.limits import SlidingLimit
from tests.sandbox_asking import AUTHORIZATION, ask, refusal, sandbox

WINDOW = ("INFY", "day", "2026-11-19 00:00:00", "2026-11-20 23:59:59")


class _Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@given(st.lists(st.integers(0, 2048), min_size=1, max_size=60), st.integers(1, 5))
def test_no_second_admits_more_than_the_limit(pauses: list[int], most: int) -> None:
    """Any second that ends with an admitted request holds at most N of them.

    Pauses are of 1024ths, which add up to the last bit.
    """
    clock = _Hand()
    limit = SlidingLimit(most, clock=clock)
    admitted: list[float] = []
    for pause in pauses:
        clock.now += pause / 1024
        if limit.admit():
            admitted.append(clock.now)
    for last in admitted:
        assert sum(last - 1 < one <= last for one in admitted) <= most


def test_evenly_spaced_requests_are_never_refused() -> None:
    """A client that keeps a third of a second apart is within three a second for ever."""
    clock = _Hand()
    limit = SlidingLimit(3, clock=clock)
    for number in range(300):
        clock.now = number / 3 + 1e-9 * number
        assert limit.admit()


def test_asking_while_refused_extends_the_refusal() -> None:
    """As Zerodha's staff say: a refused request counts like any other."""
    clock = _Hand()
    limit = SlidingLimit(3, clock=clock)
    answers = []
    for number in range(12):
        clock.now = number * 0.2
        answers.append(limit.admit())
    assert answers == [True] * 3 + [False] * 9
    clock.now += 1.0
    assert limit.admit()


def test_a_cool_down_closes_the_door_longer() -> None:
    """With cooldown_s, nothing is admitted until that long after the last refusal."""
    clock = _Hand()
    limit = SlidingLimit(1, cooldown_s=10, clock=clock)
    answers = []
    for clock.now in (0.0, 0.5, 5.0, 14.9, 24.8, 34.8):
        answers.append(limit.admit())
    assert answers == [True, False, False, False, False, True]


def test_a_limit_may_change_while_it_counts() -> None:
    """What was received before still counts: two a second are less than three at once."""
    clock = _Hand()
    limit = SlidingLimit(3, clock=clock)
    answers = []
    for clock.now, most in ((0.0, 3), (0.1, 3), (0.2, 2), (1.5, 2), (1.6, 2), (1.7, 3)):
        limit.set(most)
        answers.append(limit.admit())
    assert answers == [True, True, False, True, True, True]


def test_the_fourth_request_in_a_second_is_a_429_in_kites_words() -> None:
    """Unlike other errors, Kite's 429 has no `data`."""
    with sandbox(rate_limit=3) as kite:
        replies = [ask(kite, *WINDOW) for _ in range(4)]
        assert [reply.status_code for reply in replies] == [200, 200, 200, 429]
        assert replies[3].json() == {
            "status": "error",
            "message": "Too many requests",
            "error_type": "NetworkException",
        }
        assert refusal(replies[3]) == (429, "NetworkException", "Too many requests")
        assert (kite.requests.too_many, kite.requests.historical) == (1, 4)


def test_history_and_the_rest_are_counted_apart() -> None:
    """The dump's ten a second do not eat history's three."""
    with sandbox(rate_limit=3) as kite:
        for _ in range(8):
            url = f"{kite.url}/instruments/MCX"
            assert requests.get(url, headers=AUTHORIZATION, timeout=10).status_code == 200
        assert ask(kite, *WINDOW).status_code == 200


def test_latency_delays_the_answer_and_not_the_receipt() -> None:
    """Four at once: the fourth is refused although no answer has been sent yet."""
    with sandbox(rate_limit=3, latency_ms=200) as kite, ThreadPoolExecutor(4) as pool:
        started = time.monotonic()
        statuses = sorted(pool.map(lambda _: ask(kite, *WINDOW).status_code, range(4)))
        took = time.monotonic() - started
        received = [entry.received for entry in kite.log]
    assert statuses == [200, 200, 200, 429]
    assert took >= 0.2
    assert max(received) - min(received) < 0.2


def test_latency_may_be_a_range() -> None:
    """Answers are held back by something in between, and by jitter on top."""
    with sandbox(latency_ms=(20, 40), jitter_ms=10) as kite:
        started = time.monotonic()
        ask(kite, *WINDOW)
        assert time.monotonic() - started >= 0.02
