"""Starting: what every command costs before it does anything."""

from collections.abc import Iterator

from tests.bench.figures import Figure
from tests.bench.planning import fill
from tests.bench.processes import run
from tests.bench.workplace import Workplace

_INSTRUMENTS = 30  # at eight intervals and two replies each: 480 replies
# What it may cost above the interpreter's own start, ms.
_VERSION_MS, _STATUS_MS = 100.0, 350.0


def start(place: Workplace) -> Iterator[Figure]:
    """`kitepipe --version`, and `status` without a database, above the interpreter's own start."""
    folder = place.new_folder()
    fill(folder / "kitepipe.duckdb", _INSTRUMENTS, with_history=True)
    version, status = [], []
    for _ in range(place.size.starts):
        bare = run(["-c", "pass"], folder).seconds
        version.append(1000 * (run(["-m", "kitepipe", "--version"], folder).seconds - bare))
        status.append(1000 * (run(["-m", "kitepipe", "status"], folder).seconds - bare))
    yield _figure("kitepipe --version", version, _VERSION_MS)
    yield _figure("kitepipe status, 480 replies, no database", status, _STATUS_MS)


def _figure(what: str, over: list[float], most: float) -> Figure:
    return Figure("start", f"{what}: ms over python -c pass", over, "", [], most=most)
