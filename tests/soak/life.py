"""One box through its troubles, and the oracle: run again, and everything is as if nothing was."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from kitepipe.sandbox import Sandbox
from tests.box_help import Box, Ended
from tests.load_help import candles, with_schema
from tests.sandbox_asking import sandbox
from tests.servers import Rows, Template, looking
from tests.staging_help import stored

# Eighteen windows of three shares: as much as a kill may fall into, and little enough for a second.
WANTED = (
    *("--from", "2025-06-01", "--candle-interval", "day,60minute,15minute"),
    *("--exchanges", "NSE", "--tradingsymbols", "NSE:INFY,NSE:SBIN,NSE:TCS"),
)
_LATENCY_MS = (0.0, 30.0)


@dataclass
class Soak:
    """What a soak draws from, where it works, and what it counts; `differences` must stay empty."""

    seed: int
    template: Template
    may_crash: bool = False  # the server is nobody else's
    draw: random.Random = field(init=False)
    counts: Counter[str] = field(init=False)
    differences: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.begin(self.seed)
        with self.life("undisturbed") as life:
            life.settle(None)
            self.whole = candles(life.look)
        assert self.whole, self.differences

    def begin(self, seed: int) -> None:
        """Begin anew from a seed, with nothing counted."""
        self.seed, self.draw = seed, random.Random(seed)
        self.counts, self.differences = Counter(), []

    @contextmanager
    def life(self, name: str, **options: Any) -> Iterator["Life"]:
        """Begin a life on an empty folder and an empty database."""
        with ExitStack() as stack:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="kitepipe-soak-")))
            options = {"latency_ms": _LATENCY_MS, "other_rate_limit": 1000} | options
            kite = stack.enter_context(sandbox(api_key=f"soak{folder.name}", **options))
            dsn = stack.enter_context(self.template.database())
            yield Life(self, name, Box(folder, kite, with_schema(dsn)))


@dataclass
class Life:
    """A box that things happen to; `settle` holds what is left to the oracle."""

    soak: Soak
    name: str
    box: Box

    @property
    def kite(self) -> Sandbox:
        """Return what the box asks."""
        return self.box.kite

    def look(self, statement: str, *parameters: object) -> Rows:
        """Look into the database by a connection of its own: the last one may have been cut."""
        with looking(self.box.dsn) as look:
            return look(statement, *parameters)

    def expect(self, fine: bool, what: str, ended: Ended | None = None) -> None:
        """Note a difference where it is not fine, with the life and the last words of a command."""
        if not fine:
            words = (ended.err.strip().splitlines() or [""])[-1] if ended else ""
            self.soak.differences.append(
                f"seed {self.soak.seed}, {self.name}: {what} {words}".strip()
            )

    def settle(self, whole: Rows | None) -> None:
        """Run again: the table is `whole`, staging proves it, each reply is told exactly once."""
        self.soak.counts["settled"] += 1
        ended = self.box.kitepipe("run", *WANTED)
        self.expect(ended.code == 0, f"the last run ends with {ended.code}", ended)
        if not self.box.staging.exists():
            return
        proof = self.box.kitepipe("verify")
        self.expect(proof.code == 0, f"verify ends with {proof.code}", proof)
        found = candles(self.look)
        self.expect(whole in (None, found), f"{len(found)} candles, not {len(whole or ())}")
        staged = stored(self.box.staging, "select reply_id from reply order by 1")
        told = self.look("select reply_id from kite_load_ledger order by 1")
        self.expect(told == staged, f"{len(told)} replies in the ledger, {len(staged)} staged")
        counted = self.look("select coalesce(sum(candles), 0) from kite_series")
        self.expect(counted == [(len(found),)], f"{counted} candles by kite_series")


def rounds(soak: Soak, number: int, name: str, one: Callable[[Life], None], **options: Any) -> None:
    """Live `number` lives of one kind, each to its oracle."""
    for _ in range(number):
        with soak.life(name, **options) as life:
            one(life)
            life.settle(soak.whole)
