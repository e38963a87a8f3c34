"""What a load counts over all series, and the report that comes of it."""

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from kitepipe.load_parse import SeriesWork
from kitepipe.load_series import SeriesResult
from kitepipe.model import Window
from kitepipe.staging_series import SeriesKey
from kitepipe.summary import Failure, LoadReport

log = logging.getLogger(__name__)

_KINDS = ("new", "changed", "gone", "equal", "held", "quarantined")


@dataclass(slots=True)
class Tally:
    """What is counted over all series; several threads count into it."""

    series: int = 0
    replies: int = 0
    waiting: dict[SeriesKey, int] = field(default_factory=dict)
    dropped: dict[str, Sequence[Window]] = field(default_factory=dict)
    candles: dict[str, int] = field(default_factory=dict)
    rules: dict[str, int] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def refuse(self, work: SeriesWork, error: Exception) -> None:
        """Count a series that the server refused."""
        log.error("%s: %s", work.series, error)
        with self.lock:
            self.failures.append(Failure(str(work.series), str(error)))

    def count(self, work: SeriesWork, result: SeriesResult, seconds: float) -> None:
        """Count what became of a series, and log it."""
        totals = {kind: result.total(kind) for kind in _KINDS}
        with self.lock:
            self.series += 1
            self.replies += result.replies
            # A run may load a series twice: what waited then may be whole now.
            self.waiting[work.series.key] = result.waiting
            self.dropped[str(work.series)] = result.dropped
            for kind, count in totals.items():
                self.candles[kind] = self.candles.get(kind, 0) + count
            for rule, count in result.rules.items():
                self.rules[rule] = self.rules.get(rule, 0) + count
        first = min((r.window.first for r in work.replies), default=None)
        last = max((r.window.last for r in work.replies), default=None)
        told = ", ".join(f"{count} {kind}" for kind, count in totals.items() if count)
        log.info(
            "%s %s..%s: %d window%s, %s, %.2f s",
            *(work.series, first, last, result.replies, "" if result.replies == 1 else "s"),
            *(told or "nothing new", seconds),
        )

    def report(self) -> LoadReport:
        """Return it as the verb's report."""
        count = sum(self.waiting.values())
        waiting = (
            f"{count} replies wait: their series were re-based and are not fetched anew "
            "in full; the next fetch goes on with them"
        )
        candles: dict[str, Any] = {kind: self.candles.get(kind, 0) for kind in _KINDS}
        return LoadReport(
            series=self.series,
            replies=self.replies,
            **candles,
            waiting=count,
            quarantine_rules=dict(sorted(self.rules.items())),
            seconds=time.monotonic() - self.started,
            failures=list(self.failures),
            dropped=[
                f"{series} {window}"
                for series, windows in sorted(self.dropped.items())
                for window in windows
            ],
            warnings=[waiting] if count else [],
        )
