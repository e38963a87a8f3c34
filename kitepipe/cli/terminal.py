"""Progress for eyes: live bars on a terminal, a line every few seconds where there is none."""

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from time import monotonic
from typing import TYPE_CHECKING

from kitepipe.cli.logs import writes_json
from kitepipe.cli.output import duration, harmless, number
from kitepipe.progress import Meter, Progress

if TYPE_CHECKING:
    import rich.progress

log = logging.getLogger("kitepipe.progress")
# Often enough to see life, seldom enough for a log file of a night's run.
LINE_EVERY_S = 5.0


def progress(log_format: str) -> AbstractContextManager[Progress]:
    """Return bars where stderr is a terminal for people, else lines in the log."""
    return _lines() if writes_json(log_format) or not sys.stderr.isatty() else _bars()


class _Line:
    """A meter that logs where it is, at most every few seconds and once at its end."""

    def __init__(self, name: str, total: int, unit: str, clock: Callable[[], float]) -> None:
        self._name, self._total, self._unit, self._clock = name, total, unit, clock
        self._done = 0
        self._start = self._said = clock()
        self._lock = threading.Lock()

    def advance(self, done: int = 1, detail: str = "") -> None:
        """Count, and say so when the last line is old enough."""
        with self._lock:
            self._done += done
            if self._clock() - self._said >= LINE_EVERY_S:
                self._said = self._clock()
                log.info("%s%s", self.text(), f" ({detail})" if detail else "")

    def grow(self, more: int) -> None:
        """Change the plan."""
        with self._lock:
            self._total += more

    def __enter__(self) -> "_Line":
        return self

    def __exit__(self, *exc: object) -> None:
        if self._total:
            log.info("%s", self.text())

    def text(self) -> str:
        """Return `fetch: 120 of 400 requests, 3.0/s, 1 min 33 s left`."""
        spent = self._clock() - self._start
        rate = self._done / spent if spent > 0 else 0.0
        words = [f"{self._name}: {number(self._done)} of {number(self._total)} {self._unit}"]
        if self._done:
            words.append(f"{rate:,.1f}/s")
        if self._done and rate and self._total > self._done:
            words.append(f"{duration((self._total - self._done) / rate)} left")
        return ", ".join(words)


class Lines:
    """Progress by log lines; `clock` is monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock

    def meter(self, name: str, total: int, unit: str) -> AbstractContextManager[Meter]:
        """Open a meter that logs."""
        return _Line(name, total, unit, self._clock)


@contextmanager
def _lines() -> Iterator[Progress]:
    yield Lines()


class _Bar:
    """A meter that moves one bar; it stays when done, so that its last state can be read."""

    def __init__(self, bars: "rich.progress.Progress", task: "rich.progress.TaskID") -> None:
        self._bars, self._task = bars, task

    def advance(self, done: int = 1, detail: str = "") -> None:
        """Move the bar; rich's own lock makes this safe from several threads."""
        self._bars.advance(self._task, done)
        if detail:
            self._bars.update(self._task, detail=harmless(detail)[:40])

    def grow(self, more: int) -> None:
        """Change the plan."""
        total = next(task.total for task in self._bars.tasks if task.id == self._task)
        self._bars.update(self._task, total=(total or 0) + more)

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *exc: object) -> None:
        self._bars.update(self._task, detail="")
        self._bars.stop_task(self._task)


class Bars:
    """Progress by live bars: done of planned, rate, time left, and the newest detail."""

    def __init__(self, bars: "rich.progress.Progress") -> None:
        self._bars = bars

    def meter(self, name: str, total: int, unit: str) -> AbstractContextManager[Meter]:
        """Add a bar."""
        return _Bar(self._bars, self._bars.add_task(name, total=total, unit=unit, detail=""))


@contextmanager
def _bars() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress
    from rich.text import Text

    class Rate(ProgressColumn):
        """Units a second, over the last while, or over all when done."""

        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text(f"{speed:,.1f}/s" if speed else "", style="progress.data.speed")

    columns = (
        TextColumn("{task.description:<11}", markup=False),
        BarColumn(bar_width=28),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f} {task.fields[unit]}", markup=False),
        Rate(),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("{task.fields[detail]}", style="dim", markup=False),
    )
    # Log lines and warnings go through its console while bars are live; stdout stays untouched.
    with RichProgress(*columns, console=Console(stderr=True), redirect_stdout=False) as bars:
        yield Bars(bars)
