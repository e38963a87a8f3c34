"""A line to Kite that takes no time: the limiter before it, the sliding limit behind it."""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass

from kitepipe.ratelimit import RateLimiter
from kitepipe.sandbox.limits import SlidingLimit

COOL_DOWN_S = 10.0


@dataclass(frozen=True, slots=True)
class Sent:
    """A request: when it was let through, and whether Kite took it."""

    at: float
    taken: bool


class Line:
    """Sends a request at each turn, as long as there are turns; answers come 150 to 800 ms later.

    Requests arrive with up to `play_s` of play. Kite takes `limit(now)` a second, and nothing for
    10 s after a refusal.
    """

    def __init__(
        self, play_s: float, limit: Callable[[float], float] = lambda _: 3.0, seed: int = 0
    ) -> None:
        self._now = self._arrived = 0.0
        self._play_s = play_s
        self._limit = limit
        self._random = random.Random(seed)
        self._refusals: list[tuple[float, int]] = []  # on their way back
        self._kite = SlidingLimit(3.0, cooldown_s=COOL_DOWN_S, clock=lambda: self._arrived)
        self.limiter = RateLimiter(3.0, clock=lambda: self._now, sleep=self._sleep)
        self.sent: list[Sent] = []

    def run(self, until: float) -> None:
        """Send until then."""
        while self._now < until:
            turn = self.limiter.wait_if_needed()
            self._arrived = self._now + self._random.uniform(0, self._play_s)
            self._kite.set(self._limit(self._arrived))
            taken = self._kite.admit()
            self.sent.append(Sent(self._now, taken))
            if not taken:
                answered = self._arrived + self._random.uniform(0.15, 0.8)
                heapq.heappush(self._refusals, (answered, turn))

    def rate(self, start: float, end: float) -> float:
        """Return how many requests a second were taken in that time."""
        return sum(start <= one.at < end for one in self.sent if one.taken) / (end - start)

    def pauses(self, start: float = 0.0, end: float = float("inf")) -> int:
        """Return how often it came to a pause in that time, however many were refused."""
        refused = [one.at for one in self.sent if not one.taken and start <= one.at < end]
        return sum(
            number == 0 or at - refused[number - 1] > COOL_DOWN_S
            for number, at in enumerate(refused)
        )

    def _sleep(self, seconds: float) -> None:
        """Sleep, or until a refusal comes back."""
        woken = self._now + seconds
        if self._refusals and self._refusals[0][0] <= woken:
            self._now, turn = heapq.heappop(self._refusals)
            self.limiter.pause(COOL_DOWN_S, turn)
        else:
            self._now = woken
