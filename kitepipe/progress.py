"""What stages say while they work: meters, whoever shows them.

Stages only know these protocols; the command line draws bars or writes lines, others stay silent.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Meter(Protocol):
    """One countable job under way."""

    def advance(self, done: int = 1, detail: str = "") -> None:
        """Count `done` more units; `detail` is the newest thing worth a word."""

    def grow(self, more: int) -> None:
        """Plan `more` units than was thought; may be negative."""


class Progress(Protocol):
    """Opens meters; several may be open at once (in `run`, fetch and load)."""

    def meter(self, name: str, total: int, unit: str) -> AbstractContextManager[Meter]:
        """Open a meter called `name`, of `total` units such as "requests" or "series"."""


class _SilentMeter:
    def advance(self, done: int = 1, detail: str = "") -> None:
        """Show nothing."""

    def grow(self, more: int) -> None:
        """Show nothing."""


class Silent:
    """The progress of a library call: nothing is shown."""

    @contextmanager
    def meter(self, name: str, total: int, unit: str) -> Iterator[Meter]:
        """Open a meter that shows nothing."""
        yield _SilentMeter()
