"""How much memory the database of a staging file may take, by what is done with it.

The file's own pages fill what there is, so there is no more than what is needed. A writer plans:
100,000 instruments at eight intervals take 2.3 s with 512 MB. A reader loads: `load` takes 220 MB
as a whole and `replay` 206, at 1,000 replies, 206 and 190 at 100 (with 120 MB here it was 75 more,
and no faster).
"""

import contextlib
import threading
from collections.abc import Iterator

import duckdb

PLANNING_MB, READING_MB, COPYING_MB = 512, 48, 512
# Bodies that are sealed are not read again by whoever only fetches: with more, their pages fill it.
# To seal 16 MB takes 50; with 96 here a fetch took 31 MB more, and no less time.
FETCHING_MB, FETCHING_BESIDE_LOADERS_MB = 64, 120
_LOADERS, _LOADER_MB = 2, 28  # what READING_MB is enough for; four in it run out of memory
_JUDGE_MB = 72  # a reply of 1 MB that is parsed as JSON needs up to 96 in all


class Memory:
    """The limit of one database: a base, and more as long as somebody needs it."""

    def __init__(self, database: duckdb.DuckDBPyConnection, base: int) -> None:
        self._database, self._base, self._more = database, base, 0
        self._changing, self._judges = threading.Lock(), threading.Lock()
        # Held by loaders while they read open bodies: all, up to 16 MB, are unpacked for one, in
        # 25 MB of memory, and two at once ran out of READING_MB. Sealed ones are packed by the
        # 16th of a seal. Whoever is alone, or has more than that, need not.
        self.open_bodies = threading.Lock()

    @contextlib.contextmanager
    def based(self, megabytes: int) -> Iterator[None]:
        """Have another base meanwhile."""
        before = self._base
        self._set(megabytes, 0)
        try:
            yield
        finally:
            self._set(before, 0)

    @contextlib.contextmanager
    def for_loaders(self, number: int) -> Iterator[None]:
        """Let so many threads load plain replies at once."""
        with self._with(max(0, number - _LOADERS) * _LOADER_MB):
            yield

    @contextlib.contextmanager
    def for_a_judge(self) -> Iterator[None]:
        """Let one thread at a time have what it takes to parse large odd replies in SQL."""
        with self._judges, self._with(_JUDGE_MB):
            yield

    @contextlib.contextmanager
    def _with(self, more: int) -> Iterator[None]:
        self._set(None, more)
        try:
            yield
        finally:
            self._set(None, -more)

    def _set(self, base: int | None, more: int) -> None:
        """Change the limit; where less cannot be had now, it stays for the moment."""
        with self._changing:
            self._base, self._more = base or self._base, self._more + more
            with contextlib.suppress(duckdb.Error), self._database.cursor() as cursor:
                cursor.execute(f"set memory_limit = '{self._base + self._more}MB'")
