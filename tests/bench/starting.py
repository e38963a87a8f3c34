"""Starting: what every command costs before it does anything."""

from collections.abc import Iterator

from tests.bench.figures import Figure
from tests.bench.processes import run
from tests.bench.workplace import Workplace


def start(place: Workplace) -> Iterator[Figure]:
    """`kitepipe --version` against the interpreter's own start."""
    folder = place.new_folder()
    ours, bare = [], []
    for _ in range(place.size.starts):
        bare.append(1000 * run(["-c", "pass"], folder).seconds)
        ours.append(1000 * run(["-m", "kitepipe", "--version"], folder).seconds)
    yield Figure("start", "kitepipe --version: ms", ours, "python -c pass", bare)
