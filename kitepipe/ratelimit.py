"""RateLimiter: one for the process, every HTTP request passes it, retries included.

Releases are evenly spaced: there is no burst to save up for, because Kite counts a sliding second.
"""

import threading
import time
from collections.abc import Callable

# Kite counts arrivals in a sliding second, and arrival is later than release by a time that
# varies. Three spacings of 1/3 s that arrive 20 ms closer are a fourth request in one second.
# 3 % more than 1/rate leaves 30 ms of play at 3 requests a second, for 97 % of the limit.
HEADROOM = 1.03
# At the start each thread opens its connection, and a handshake with TLS takes 100 to 200 ms: a
# request that waited for one is followed more closely by those that did not.
SLOW_START = 1.25
# After a 429: a night of 30,000 requests has met one, and must not meet a hundred.
WIDER = 1.01


class RateLimiter:
    """Hold every caller until its turn: at most `rate` releases a second, evenly spaced.

    `rate` 0 means no limit. The first `slow_start` turns are further apart. `clock` gives
    monotonic seconds; `sleep` may return early or raise.
    """

    def __init__(
        self,
        rate: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        slow_start: int = 0,
    ) -> None:
        if rate < 0:
            raise ValueError(f"rate must not be negative: {rate}")
        self._spacing_s = HEADROOM / rate if rate else 0.0
        self._clock = clock
        self._sleep = sleep
        self._turn = threading.Lock()  # held while waiting: callers queue up behind one sleeper
        self._state = threading.Lock()
        self._next_at = float("-inf")
        self._slow_starts = slow_start

    def wait_if_needed(self) -> None:
        """Return when the next request may be sent."""
        with self._turn:
            while (wait_s := self._claim()) > 0:
                self._sleep(wait_s)

    def pause(self, seconds: float) -> None:
        """Let nobody pass for `seconds` from now, whoever already waits (after a 429).

        From then on turns are a little further apart: the way to Kite varies more than was thought.
        """
        with self._state:
            self._next_at = max(self._next_at, self._clock() + seconds)
            self._spacing_s *= WIDER

    def _claim(self) -> float:
        """Take the turn if it has come; otherwise say how many seconds it is away."""
        with self._state:
            now = self._clock()
            if now < self._next_at:
                return self._next_at - now
            slower = SLOW_START if self._slow_starts > 0 else 1.0
            self._slow_starts -= 1
            self._next_at = now + self._spacing_s * slower
            return 0.0
