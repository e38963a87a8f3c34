"""The threads that do HTTP: jobs go in, outcomes come out, nothing else is shared.

Threads are daemons: an interrupted run need not wait for an answer that is still on its way.
"""

import contextlib
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

In = TypeVar("In")
Out = TypeVar("Out")


class Interrupted(Exception):
    """The run is over: whoever sleeps in a pool thread wakes with this."""


class Stop:
    """The end of a run, as pool threads see it."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """End the run: sleepers wake at once."""
        self._event.set()

    def sleep(self, seconds: float) -> None:
        """Sleep, or raise Interrupted as soon as the run is over."""
        if self._event.wait(seconds):
            raise Interrupted


@dataclass(frozen=True, slots=True)
class Outcome(Generic[In, Out]):
    """What became of one job: a result, or the exception that ended it."""

    job: In
    result: Out | None
    error: BaseException | None


class Pool(Generic[In, Out]):
    """`workers` threads that call `work` on each job."""

    def __init__(self, workers: int, work: Callable[[In], Out]) -> None:
        self._work = work
        self._jobs: queue.SimpleQueue[In | None] = queue.SimpleQueue()
        self._outcomes: queue.SimpleQueue[Outcome[In, Out]] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._serve, name=f"fetch-{n}", daemon=True)
            for n in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, job: In) -> None:
        """Hand a job to the next thread that is free."""
        self._jobs.put(job)

    def next_outcome(self, timeout_s: float) -> Outcome[In, Out] | None:
        """Return the next outcome, or None if there was none within `timeout_s`."""
        try:
            return self._outcomes.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def close(self) -> None:
        """Let idle threads end; busy ones end with their job, or with the process.

        Jobs that no thread has begun are dropped.
        """
        with contextlib.suppress(queue.Empty):
            while True:
                self._jobs.get_nowait()
        for _ in self._threads:
            self._jobs.put(None)

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                outcome: Outcome[In, Out] = Outcome(job, self._work(job), None)
            except Interrupted:
                continue
            except BaseException as error:  # the main thread decides what it means
                outcome = Outcome(job, None, error)
            self._outcomes.put(outcome)
