"""Fetching: how near to Kite's limit, at what cost, and what the official client could do."""

from collections.abc import Iterator
from itertools import pairwise

from kitepipe.settings import Settings
from tests.bench.figures import Figure
from tests.bench.processes import history_log, kitepipe, run, sandbox, session
from tests.bench.workplace import SYMBOLS, Workplace, wanted

_LIMIT = 3.0  # history requests a second (KITE: documented)
_BLOCK = 30  # requests: 10 s at the limit
# As on the line to Kite: answers after 150 to 800 ms, requests that arrive up to 20 ms late.
_LINE = ("--latency-ms", "150", "800", "--arrival-ms", "20")


def fetch_at_the_limit(place: Workplace) -> Iterator[Figure]:
    """`kitepipe fetch` at the real limit, with the line's delays; no 429 is allowed."""
    folder = place.new_folder()
    requests = int(place.size.limit_s * _LIMIT)
    asked = wanted(len(SYMBOLS), requests // len(SYMBOLS) + 2)
    settings = asked.settings | {"rate_limit": _LIMIT}
    with sandbox(folder, "--rate-limit", str(_LIMIT), *_LINE) as url:
        bound = ("--max-requests", str(requests))
        ran = kitepipe("fetch", *asked.flags, *bound, folder=folder, **settings, **session(url))
        log = history_log(url)
    received = [entry["received"] for entry in log]
    refused = sum(entry["status"] == 429 for entry in log)
    yield Figure("limit", "fetch at the limit: requests/s", _rates(received), "Kite's", [_LIMIT])
    yield Figure(
        *("limit", "fetch at the limit: 429s", [refused], f"allowed, of {len(log)} requests", [0]),
        broken=bool(refused),
    )
    closest = min(later - first for first, later in zip(received, received[3:], strict=False))
    what = "fetch at the limit: shortest span of 4 arrivals, s"
    yield Figure("limit", what, [closest], "a 429 below", [1])
    cpu = 100 * ran.cpu_s / ran.seconds
    yield Figure("limit", "fetch at the limit: CPU, %", [cpu], "one core", [100])


def fetch_beside_official(place: Workplace) -> Iterator[Figure]:
    """`kitepipe fetch` and a pool of the official client, both as fast as they can."""
    requests = place.size.requests
    windows = requests // len(SYMBOLS)
    folder = place.new_folder()
    asked = wanted(len(SYMBOLS), windows)
    with sandbox(folder) as url:
        kitepipe("fetch", *asked.flags, folder=folder, **asked.settings, **session(url))
        ours = _rates([entry["received"] for entry in history_log(url)])
    with sandbox(folder) as url:
        arguments = [url, str(place.size.official_s), str(windows)]
        peer = run(["-m", "tests.bench.official", *arguments], folder).report()
    threads = Settings.parallel_workers
    what = f"fetch, no limit: requests/s ({threads} threads)"
    theirs = peer["requests"] / peer["seconds"]
    beside = f"historical_data(), {threads} threads"
    yield Figure("official-fetch", what, ours, beside, [theirs])


def _rates(received: list[float]) -> list[float]:
    """Return requests a second of each block of requests, in the order of receipt."""
    ends = received[::_BLOCK]
    return [_BLOCK / (end - start) for start, end in pairwise(ends)]
