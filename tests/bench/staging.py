"""Staging: what it takes to commit a reply, and how large the file becomes."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from statistics import quantiles
from time import perf_counter

from kitepipe.model import Instrument, Interval, Reply, Series, Window, utc_now
from kitepipe.staging import Staging
from kitepipe.staging_inspect import inspect_body
from kitepipe.staging_replies import Asked, ReplyWriter
from kitepipe.staging_series import FIRST_EPOCH
from tests.bench.figures import Figure
from tests.bench.workplace import Workplace

_P99_MS = 300  # a reply at Kite's limit has 333
_LAST = 1000  # percentiles are of the newest commits: they must not grow with the file


def commit_replies(place: Workplace) -> Iterator[Figure]:
    """Commits into a file that grows: their time, and its size against the raw bytes."""
    bodies = place.material(place.size.instruments, place.size.windows).bodies()
    path = place.new_folder() / "kitepipe.duckdb"
    taken: list[float] = []
    raw = 0
    slowest: list[float] = []
    for mark in place.size.memory_replies:
        todo = [bodies[place % len(bodies)] for place in range(len(taken), mark)]
        taken += _commit(path, todo)
        raw += sum(len(body) for body in todo)
        cuts = quantiles(taken[-_LAST:], n=100)
        for name, value in (("p50", cuts[49]), ("p99", cuts[98])):
            what = f"staging at {mark:,} replies: {name} of a commit, ms"
            yield Figure("staging", what, [value], "", [], most=_P99_MS)
        slowest.append(cuts[98])
        what = f"staging at {mark:,} replies: file, MB"
        size = path.stat().st_size / 1e6
        yield Figure("staging", what, [size], "raw", [raw / 1e6], most=0.27 if mark > 100 else None)
    what = "staging, the most replies: p99 of a commit, ms"
    yield Figure("staging", what, slowest[-1:], "the fewest", slowest[:1], most=1.3)


def _commit(path: Path, bodies: Sequence[str]) -> list[float]:
    """Return the milliseconds of each commit, seals included."""
    instrument = Instrument(408065, "NSE", "INFY")
    series = Series(1, instrument, Interval.MINUTE, 1)
    window = Window(date(2016, 1, 1), date(2016, 2, 29))
    taken = []
    with (
        Staging.write(path, "http://127.0.0.1") as staging,
        ReplyWriter(staging) as writer,
    ):
        for body in bodies:
            now = utc_now()
            reply = Reply(body, now, now, inspect_body(body))
            asked = Asked(series, window, FIRST_EPOCH, now, 1)
            started = perf_counter()
            writer.commit(asked, reply, now.date() - timedelta(days=1))
            taken.append(1000 * (perf_counter() - started))
    return taken
