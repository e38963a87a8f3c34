"""Kite's request limits: so many in any second, counted on receipt, refused ones included."""

import threading
from collections import deque
from collections.abc import Callable
from time import monotonic


class SlidingLimit:
    """Admits at most `per_second * window_s` receipts in any window of `window_s` seconds.

    A refused request counts as well: asking again while refused extends the wait, as Kite's
    staff describe it. With `cooldown_s` nothing is admitted until that long after a refusal.
    """

    def __init__(
        self,
        per_second: float | None,
        window_s: float = 1.0,
        cooldown_s: float = 0.0,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._shortest_s = window_s
        self._cooldown_s = cooldown_s
        self._clock = clock
        self._receipts: deque[float] = deque()
        self._closed_until = 0.0
        self._lock = threading.Lock()
        self.set(per_second)

    def set(self, per_second: float | None) -> None:
        """Let another limit hold from now on; what was received before counts."""
        window_s = self._shortest_s
        with self._lock:
            self._most = max(1, round(per_second * window_s)) if per_second else None
            # A slow limit below one a window needs a longer window to mean anything.
            slow = per_second and per_second * window_s < 1
            self._window_s = 1 / per_second if per_second and slow else window_s

    def admit(self) -> bool:
        """Count one receipt; False when it is one too many."""
        if self._most is None:
            return True
        with self._lock:
            now = self._clock()
            while self._receipts and now - self._receipts[0] >= self._window_s:
                self._receipts.popleft()
            self._receipts.append(now)
            if len(self._receipts) <= self._most and now >= self._closed_until:
                return True
            # Beyond most+1 receipts the oldest cannot change any later answer.
            while len(self._receipts) > self._most + 1:
                self._receipts.popleft()
            self._closed_until = now + self._cooldown_s
            return False
