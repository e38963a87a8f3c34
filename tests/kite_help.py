"""Kite's door for tests: a real client in front of a sandbox, with a time of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

from kitepipe.kite import KiteClientWrapper, KiteOptions
from kitepipe.model import Instrument, Interval, Series, Window
from kitepipe.ratelimit import RateLimiter
from kitepipe.sandbox import Sandbox
from kitepipe.sandbox.market import Market, Request
from kitepipe.sandbox.replies import Reply
from kitepipe.staging_inspect import inspect_body
from tests.sandbox_asking import sandbox

WINDOW = Window(date(2026, 10, 1), date(2026, 11, 20))
SECRETS = ("sandbox_key", "sandbox_token", "sandbox_secret")


class World:
    """A time that only sleeping moves: for the limiter's pauses and the waits between attempts."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def clock(self) -> float:
        """Return monotonic seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Move the clock, and remember for how long."""
        self.slept.append(seconds)
        self.now += seconds


@contextmanager
def door(
    kite: Sandbox, world: World | None = None, limiter: RateLimiter | None = None, **options: Any
) -> Iterator[KiteClientWrapper]:
    """Open the client; its waits take no time at all, but for those of a limiter that is given."""
    world = world or World()
    limiter = limiter or RateLimiter(0, clock=world.clock, sleep=world.sleep)
    defaults = {"api_key": "sandbox_key", "access_token": "sandbox_token", "timeout_s": 5.0}
    told = KiteOptions(kite.url, **{**defaults, **options})
    with KiteClientWrapper(told, limiter, inspect_body, world.sleep) as client:
        yield client


def series_of(kite: Sandbox, symbol: str = "INFY", interval: str = "day", **more: Any) -> Series:
    """Return a listed instrument's series, as a plan would have it."""
    return Series(
        1, Instrument(kite.token_of(symbol), "NSE", symbol), Interval(interval), 1, **more
    )


class _OddMarket(Market):
    """Answers with replies of a test's own, as long as there are any; they are noted as well."""

    def __init__(self, kite: Sandbox) -> None:
        super().__init__(kite.options)
        self.replies: list[Reply] = []

    def answer(self, request: Request) -> Reply:
        """Answer as Kite does, and send something else."""
        usual = super().answer(request)
        return self.replies.pop(0) if self.replies else usual


def odd_sandbox(*replies: Reply, **options: Any) -> Sandbox:
    """Return a sandbox whose first answers are `replies`: headers and bodies at will."""
    kite = sandbox(**options)
    market = _OddMarket(kite)
    market.replies.extend(replies)
    kite.market = market
    return kite
