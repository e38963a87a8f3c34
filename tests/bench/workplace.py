"""Where it is measured: sizes, a folder, a server, and replies of real shape in staging files."""

import os
import platform
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Self

import duckdb

from kitepipe.model import Interval
from kitepipe.warehouse import DatabaseManager
from tests.bench.processes import kitepipe, sandbox, session
from tests.servers import Template, looking
from tests.servers_find import timescale_server

# Liquid NSE shares with minutes on every trading day since 2016: 375 a session, 15,400 a window.
SYMBOLS = (
    "RELIANCE", "INFY", "TCS", "HDFCBANK", "SBIN", "ICICIBANK", "LT", "ITC", "AXISBANK",
    "HINDUNILVR", "SUNPHARMA", "MARUTI", "TITAN", "NTPC", "WIPRO", "TATASTEEL", "HINDALCO",
    "CIPLA", "DRREDDY", "GRASIM",
)  # fmt: skip
FIRST = date(2016, 1, 1)
WINDOW_DAYS = Interval.MINUTE.max_days
ANY_RATE = 10_000
_LISTED = 60  # what the sandbox lists under real names


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured; a window is a reply of 1 MB."""

    instruments: int
    windows: int
    pairs: int
    limit_s: int
    night_s: int
    requests: int
    official_s: int
    memory_replies: tuple[int, ...]
    loads: tuple[tuple[int, int], ...]  # instruments and windows
    memory_loads: tuple[tuple[int, int, Interval], ...]
    starts: int = 20


# Few instruments, long histories: within a series parsing runs ahead of COPY, group by group.
# Nights of 900 and of all 2,000 instruments at the limit. As many as 36,500 replies are loaded in
# hours: of minutes they are 560 million candles, and the database takes 80 GB.
QUICK = Size(
    instruments=8,
    windows=32,
    pairs=7,
    limit_s=300,
    night_s=300,
    requests=600,
    official_s=60,
    memory_replies=(100, 1_000),
    loads=((4, 16), (8, 64)),
    memory_loads=((4, 25, Interval.MINUTE), (20, 50, Interval.MINUTE)),
)
FULL = Size(
    instruments=8,
    windows=64,
    pairs=15,
    limit_s=300,
    night_s=667,
    requests=1200,
    official_s=180,
    memory_replies=(100, 1_000, 36_500),
    loads=((4, 16), (8, 64), (102, 64)),
    memory_loads=(
        (4, 25, Interval.MINUTE),
        (20, 50, Interval.MINUTE),
        (4056, 9, Interval.MINUTE_60),
    ),
)


# A fetch stages the replies of its search for the start of history too; they are never loaded.
_STAGED = "from reply join chunk using (chunk_id) where interval <> 'probe'"
_MATERIAL = f"select count(*), sum(bytes)::bigint, sum(rows)::bigint {_STAGED}"
_BODIES = f"select body from body where reply_id in (select reply_id {_STAGED}) order by reply_id"


@dataclass(frozen=True, slots=True)
class Material:
    """A staging file of minute replies, with their number, bytes and candles."""

    folder: Path
    staging: Path
    replies: int
    bytes: int
    candles: int

    def bodies(self) -> list[str]:
        """Return the replies' bodies, oldest first."""
        with duckdb.connect(str(self.staging), read_only=True) as database:
            rows = database.execute(_BODIES).fetchall()
        return [row[0] for row in rows]


class Workplace:
    """Lends what scenarios need, and clears it away at the end."""

    def __init__(self, size: Size, say: Callable[[str], None]) -> None:
        self.size = size
        self.say = say
        self._stack = ExitStack()
        self._load_before = os.getloadavg()[0]
        self._materials: dict[tuple[int, int, Interval], Material] = {}

    def __enter__(self) -> Self:
        folder = tempfile.TemporaryDirectory(prefix="kitepipe-bench-")
        self.folder = Path(self._stack.enter_context(folder))
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    @cached_property
    def _template(self) -> Template:
        server = self._stack.enter_context(timescale_server(self.say))
        return self._stack.enter_context(server.template())

    @contextmanager
    def database(self) -> Iterator[str]:
        """Lend a fresh database with the schema, right after a checkpoint."""
        with self._template.database() as dsn:
            with DatabaseManager(dsn) as warehouse:
                warehouse.apply_schema()
            checkpoint(dsn)
            yield dsn

    def new_folder(self) -> Path:
        """Return an empty folder that goes with this workplace."""
        return Path(tempfile.mkdtemp(dir=self.folder))

    def material(
        self, instruments: int, windows: int, interval: Interval = Interval.MINUTE
    ) -> Material:
        """Return a staging file with replies of whole windows, fetched as a user would; made once.

        They are of minutes where nothing else is said.
        """
        size = instruments, windows, interval
        if size not in self._materials:
            self.say(f"  making {instruments * windows} replies")
            self._materials[size] = self._fetch(*size)
        return self._materials[size]

    def _fetch(self, instruments: int, windows: int, interval: Interval) -> Material:
        folder = self.new_folder()
        with sandbox(folder, "--instruments", str(_LISTED + 3 * instruments)) as url:
            asked = wanted(instruments, windows, interval)
            report = kitepipe(
                "fetch", *asked.flags, folder=folder, **asked.settings, **session(url)
            )
        path = folder / "kitepipe.duckdb"
        with duckdb.connect(str(path), read_only=True) as database:
            row = database.execute(_MATERIAL).fetchone()
        if row is None or row[0] != instruments * windows:
            raise RuntimeError(f"{instruments * windows} replies were to be made: {report.output}")
        return Material(folder, path, *row)

    def machine(self) -> dict[str, object]:
        """Return what the figures depend on; how busy it was before says what they are worth."""
        found: dict[str, object] = {
            "cores": len(os.sched_getaffinity(0)),
            "load before": round(self._load_before, 2),
            "Python": platform.python_version(),
            "DuckDB": duckdb.__version__,
        }
        if "_template" in self.__dict__:
            with looking(self._template.server.dsn) as look:
                (found["PostgreSQL"],) = look("show server_version")[0]
                (found["fsync"],) = look("show fsync")[0]
        return found


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a fetch of minutes asks for, as flags and settings."""

    flags: tuple[str, ...]
    settings: dict[str, object]


def wanted(instruments: int, windows: int, interval: Interval = Interval.MINUTE) -> Wanted:
    """Return how to ask for so many whole windows of so many instruments, at any rate."""
    last = FIRST + timedelta(days=windows * interval.max_days - 1)
    # Every third of the sandbox's own, after those with names, has candles since 1995.
    more = (f"SAND{_LISTED + 3 * number:04}" for number in range(instruments - len(SYMBOLS)))
    symbols = ",".join(f"NSE:{symbol}" for symbol in (*SYMBOLS[:instruments], *more))
    settings: dict[str, object] = {
        "exchanges": "NSE",
        "tradingsymbols": symbols,
        "candle_interval": interval.value,
        "rate_limit": ANY_RATE,
    }
    return Wanted(("--from", str(FIRST), "--to", str(last)), settings)


def checkpoint(dsn: str) -> None:
    """Write out what earlier measurements left to the server."""
    with looking(dsn) as look:
        look("checkpoint")
