"""RateLimiter: one for the process, every HTTP request passes it, retries included.

Releases are evenly spaced: there is no burst to save up for, because Kite counts a sliding second.
How far apart they must be it learns from what Kite refuses (429), and forgets again in time.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

log = logging.getLogger(__name__)

# Kite counts arrivals in a sliding second, and arrival is later than release by a time that
# varies. Of four arrivals the first may be late and the last not: with 20 ms of such play, three
# spacings must be 1.02 s. The rest is for what this machine adds (measured: 6 ms at most while
# minutes are fetched). 97.4 % of the limit.
HEADROOM = 1.027
# After a single 429 the way to Kite is taken to vary more than that. A step of 1 % is 10 ms more
# of play: a line with 50 ms is found with three 429s, each of them a pause of 10 s.
WIDER = 1.01
# When a spacing that was refused is tried again. The play of a line stays as it is for hours; a
# limit that fell (somebody else asks with the same key) may be back at any time. One that is
# refused again costs another pause, so it then waits twice as long: 8 such pauses in a night.
RETRY_PLAY_S = 600.0
RETRY_FALL_S = 30.0
RETRY_LONGEST_S = 3600.0
# No line has more play than 80 ms: what is refused beyond has other reasons, and going slower would
# not help. Two 429s in a hundred requests, whatever we do, cost a tenth of the rate and no more.
MOST_STEPS = 8
# A pause is this often doubled where the very first request after it is refused: asking inside
# the cool-down has made it longer.
DOUBLINGS = 3
LONGEST_DOUBLED_S = 80.0  # what the server itself asks for may be longer


@dataclass(slots=True)
class _Refused:
    """A spacing that Kite refused, and how long it is left alone."""

    spacing_s: float
    retry_s: float


class Pace:
    """Which spacing is in force: the closest that Kite has not refused lately."""

    def __init__(self, rate: float) -> None:
        self.spacing_s = HEADROOM / rate if rate else 0.0
        self._refused: list[_Refused] = []  # the one to try next is the last
        self._trial: _Refused | None = None  # the one in force, if it was refused before
        self._held_s = self.spacing_s  # what was in force before the trial
        self._due = inf

    @property
    def found(self) -> float | None:
        """The fastest rate that Kite takes, where that is not the one we began with."""
        if self._trial:
            return 1 / self._held_s
        return 1 / self.spacing_s if self._refused else None

    def tick(self, now: float) -> None:
        """Try the last refused spacing again when its time has come."""
        if now < self._due:
            return
        self._trial = self._refused.pop() if self._refused else None
        self._due = inf
        if self._trial:
            self._held_s, self.spacing_s = self.spacing_s, self._trial.spacing_s
            self._due = now + (self._refused[-1] if self._refused else self._trial).retry_s
            log.info("trying %.2f requests a second again", 1 / self.spacing_s)

    def refuse(self, now: float, place: int) -> None:
        """Learn from a 429; `place` is that of the request among those since the last pause.

        After a pause nothing of ours counts any more. So if k requests after it are too many,
        although they are no closer than they should be, Kite now takes k - 1 a second.
        """
        if self._trial:
            self._trial.retry_s = min(2 * self._trial.retry_s, RETRY_LONGEST_S)
            self._refused.append(self._trial)
            self._trial, self.spacing_s, self._due = None, self._held_s, inf
        elif self._refused and (place - 1) * self.spacing_s < 1:
            self._refused[-1].retry_s = RETRY_FALL_S  # what came before that pause was this, too
            self.spacing_s = HEADROOM / (place - 1) if place > 1 else self.spacing_s
        elif len(self._refused) < MOST_STEPS:
            retry_s = min([RETRY_PLAY_S, *(refused.retry_s for refused in self._refused)])
            self._refused.append(_Refused(self.spacing_s, retry_s))
            self.spacing_s *= WIDER
        self._due = min(self._due, now + self._refused[-1].retry_s)
        log.warning("HTTP 429: from now on %.2f requests a second", 1 / self.spacing_s)


class RateLimiter:
    """Hold every caller until its turn: at most `rate` releases a second, evenly spaced.

    `rate` 0 means no limit. `clock` gives monotonic seconds; `sleep` may return early or raise.
    """

    def __init__(
        self,
        rate: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if rate < 0:
            raise ValueError(f"rate must not be negative: {rate}")
        self._pace = Pace(rate)
        self._clock = clock
        self._sleep = sleep
        self._turn = threading.Lock()  # held while waiting: callers queue up behind one sleeper
        self._state = threading.Lock()
        self._next_at = -inf
        self._turns = 0
        self._rested = 0  # turns before the last pause
        self._refused = 0  # the first turn that was refused since then
        self._doublings = 0

    @property
    def found(self) -> float | None:
        """The fastest rate that Kite takes, where that is not the one we began with."""
        return self._pace.found

    def wait_if_needed(self) -> int:
        """Return when the next request may be sent, and its number for `pause`."""
        with self._turn:
            while (wait_s := self._claim()) > 0:
                self._sleep(wait_s)
            return self._turns

    def pause(self, seconds: float, turn: int) -> None:
        """Let nobody pass for `seconds` from now, whoever already waits: `turn` met a 429.

        What else was on its way and is refused makes the pause longer, and counts as the same.
        """
        with self._state:
            if turn > self._rested:
                longest = max(seconds, LONGEST_DOUBLED_S)
                paused_s = min(seconds * 2**self._doublings, longest)
                self._next_at = max(self._next_at, self._clock() + paused_s)
                self._refused = min(turn, self._refused or turn)

    def _claim(self) -> float:
        """Take the turn if it has come; otherwise say how many seconds it is away."""
        with self._state:
            now = self._clock()
            if now < self._next_at:
                return self._next_at - now
            if self._refused:
                self._begin_anew(now, self._refused - self._rested)
            self._pace.tick(now)
            self._turns += 1
            self._next_at = now + self._pace.spacing_s
            return 0.0

    def _begin_anew(self, now: float, place: int) -> None:
        """Go on after a pause, wiser by one refusal."""
        self._doublings = min(self._doublings + 1, DOUBLINGS) if place == 1 else 0
        self._refused, self._rested = 0, self._turns
        if self._pace.spacing_s:
            self._pace.refuse(now, place)
