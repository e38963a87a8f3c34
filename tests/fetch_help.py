"""Fetches for tests: the whole stage as the commands run it, and what it left behind."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import duckdb

from kitepipe import pipeline
from kitepipe.model import Window
from kitepipe.plan import Bounds, merge
from kitepipe.progress import Meter, Progress, Silent
from kitepipe.sandbox import Sandbox
from kitepipe.settings import Settings
from kitepipe.summary import FetchReport

SOME = ("INFY", "TCS", "RELIANCE", "HDFCBANK", "SBIN", "ITC", "LT", "WIPRO")


def settings_for(kite: Sandbox, staging: Path, **more: Any) -> Settings:
    """Return settings that ask a sandbox without a limit, and wait no time between attempts."""
    defaults = {
        "api_root": kite.url,
        "api_key": "sandbox_key",
        "access_token": "sandbox_token",
        "staging": staging,
        "rate_limit": 10_000.0,
        "exchanges": ("NSE",),
        "tradingsymbols": SOME[:3],
        "backoff_base_s": 0.001,
        "bootstrap_date": date(2015, 1, 1),
        "timeout_s": 10.0,
    }
    return Settings(**{**defaults, **more})


def fetch(
    kite: Sandbox,
    settings: Settings,
    progress: Progress | None = None,
    ahead: timedelta = timedelta(0),
    **bounds: Any,
) -> FetchReport:
    """Run the stage on a machine whose clock is `ahead` of the sandbox's."""
    return pipeline.fetch(
        settings, Bounds(**bounds), progress or Silent(), clock=lambda: kite.now + ahead
    )


@dataclass(frozen=True)
class Told:
    """One request for history, as the sandbox received it."""

    token: int
    interval: str
    window: Window
    status: int
    received: float


def asked(kite: Sandbox) -> list[Told]:
    """Return every request for history in the order of receipt."""
    found = []
    for entry in kite.log:
        url = urlsplit(entry.path)
        if entry.kind == "historical":
            _, _, _, token, interval = url.path.split("/")
            first, last = (
                date.fromisoformat(parse_qs(url.query)[k][0][:10]) for k in ("from", "to")
            )
            window = Window(first, last)
            found.append(Told(int(token), interval, window, entry.status, entry.received))
    return found


def twice(requests: Sequence[Told]) -> list[object]:
    """Return what was asked more than once."""
    counts = Counter((one.token, one.interval, one.window) for one in requests)
    return [request for request, count in counts.items() if count > 1]


def rows(path: Path, statement: str) -> list[tuple[Any, ...]]:
    """Look into the staging file with DuckDB itself."""
    with duckdb.connect(str(path), read_only=True) as database:
        return database.execute(statement).fetchall()


def coverage(path: Path) -> dict[tuple[str, str], list[Window]]:
    """Return the dates that staged replies cover, by tradingsymbol and interval."""
    covered: dict[tuple[str, str], list[Window]] = {}
    found = rows(
        path,
        "select tradingsymbol, interval, first_date, least(last_date, settled_through) "
        "from reply join chunk using (chunk_id) where error is null",
    )
    for symbol, interval, first, last in found:
        covered.setdefault((symbol, interval), []).append(Window(first, last))
    return {key: merge(windows) for key, windows in covered.items()}


class Watching:
    """A progress that calls `act` with the number of windows done, after each."""

    def __init__(self, act: Callable[[int], None]) -> None:
        self._act = act
        self.done = 0
        self.planned = 0

    @contextmanager
    def meter(self, name: str, total: int, unit: str) -> Iterator[Meter]:
        """Watch the fetch's own meter."""
        if name == "fetch":
            self.planned = total
            yield self
        else:
            with Silent().meter(name, total, unit) as silent:
                yield silent

    def advance(self, done: int = 1, detail: str = "") -> None:
        """Count, then act."""
        self.done += done
        self._act(self.done)

    def grow(self, more: int) -> None:
        """Plan more."""
        self.planned += more
