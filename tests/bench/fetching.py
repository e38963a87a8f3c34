"""Fetching: how near to Kite's limit, at what cost, and what the official client could do."""

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from math import inf
from threading import Timer
from typing import Any

from kitepipe.settings import Settings
from tests.bench.figures import Figure
from tests.bench.processes import Ran, history_log, kitepipe, limit_to, run, sandbox, session
from tests.bench.sandbox import COOL_DOWN_S
from tests.bench.workplace import ANY_RATE, FIRST, SYMBOLS, Wanted, Workplace, wanted

Entry = dict[str, Any]

_LIMIT = 3.0  # history requests a second (KITE: documented)
_FALLEN = 2.0
_BLOCK = 30  # requests: 10 s at the limit
# As on the line to Kite: answers after 150 to 800 ms, requests that arrive up to 20 ms late.
_LINE = ("--rate-limit", str(_LIMIT), "--latency-ms", "150", "800")
_PLAY_MS, _MUCH_PLAY_MS = 20, 50
# With 50 ms, four arrivals are in one second unless three spacings take 1.05 s.
_FASTEST = _LIMIT / 1.05
_NIGHT = 2_000  # instruments
_MANY = 700  # instruments with 64 windows each
_MINUTES = {
    "exchanges": "NSE",
    "tradingsymbols": "NSE:SAND*",
    "candle_interval": "minute",
    "rate_limit": ANY_RATE,
}
_FALL_AT_S, _FALL_S, _CLIMB_S = 30.0, 90.0, 90.0
_STEADY_S = 15.0  # without a 429 and at the full rate: then a rate is found


def fetch_at_the_limit(place: Workplace) -> Iterator[Figure]:
    """`kitepipe fetch` at the real limit, on four lines side by side: each is asleep mostly."""
    lines = (_minutes, _with_more_play, _with_a_fall, _nightly)
    with ThreadPoolExecutor(len(lines)) as pool:
        for figures in pool.map(lambda line: list(line(place)), lines):
            yield from figures


def _minutes(place: Workplace) -> Iterator[Figure]:
    seconds, what = place.size.limit_s, "fetch at the limit"
    fetched = _fetch(place, wanted(len(SYMBOLS), int(seconds * _LIMIT / len(SYMBOLS)) + 2), seconds)
    yield _rate(what, fetched.log)
    yield _refused(what, fetched.log, 0)
    received = [entry["received"] for entry in fetched.log]
    closest = min(later - first for first, later in zip(received, received[3:], strict=False))
    yield Figure("limit", f"{what}: shortest span of 4 arrivals, s", [closest], "", [], least=1)
    cpu = 100 * fetched.ran.cpu_s / fetched.ran.seconds
    yield Figure("limit", f"{what}: CPU, %", [cpu], "one core", [100], most=0.3)
    yield Figure("limit", f"{what}: most memory, MB", [fetched.ran.memory_mb], "", [], most=300)


def _with_more_play(place: Workplace) -> Iterator[Figure]:
    what = f"{_MUCH_PLAY_MS} ms of play"
    fetched = _fetch(place, _few_days(), place.size.limit_s, play_ms=_MUCH_PLAY_MS)
    found = [fetched.ran.report()["found_rate"] or _LIMIT]
    beside = "the fastest without 429s"
    yield Figure("limit", f"{what}: rate found", found, beside, [_FASTEST], least=0.98, most=1.01)
    yield _refused(what, fetched.log, 4)


def _with_a_fall(place: Workplace) -> Iterator[Figure]:
    """Two a second for a while: when that is found, what is lost, when it is at three again."""
    changes = {_FALL_AT_S: _FALLEN, _FALL_AT_S + _FALL_S: _LIMIT}
    seconds = _FALL_AT_S + _FALL_S + _CLIMB_S
    fetched = _fetch(place, _few_days(), seconds, changes=changes)
    fell, returned = (fetched.started + after_s for after_s in changes)
    what = "limit falls to 2 a second"
    found = [_steady_from(fetched.log, fell, _FALLEN) - fell]
    yield Figure("limit", f"{what}: s until that is found", found, "", [], most=60)
    climbed = [_steady_from(fetched.log, returned, _LIMIT) - returned]
    yield Figure("limit", f"{what} and returns: s until it is at 3", climbed, "", [], most=90)
    asked = {entry["path"] for entry in fetched.log}
    lost = asked - {entry["path"] for entry in fetched.log if entry["status"] == 200}
    yield Figure("limit", f"{what}: requests lost", [len(lost)], f"of {len(asked)}", [], most=0)


def _nightly(place: Workplace) -> Iterator[Figure]:
    fetched = _fetch(place, _few_days(), place.size.night_s, batch_size=50)
    what = "nightly, batches of 50"
    yield _rate(what, fetched.log)
    yield _refused(what, fetched.log, 0)


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
    yield Figure("official-fetch", what, ours, beside, [theirs], least=4)


def fetch_memory(place: Workplace) -> Iterator[Figure]:
    """`kitepipe fetch` of 1 MB replies into one file, few and many: memory does not grow."""
    used: list[float] = []
    for replies in place.size.memory_replies:
        folder = place.new_folder()
        with sandbox(folder, "--instruments", str(60 + _MANY)) as url:
            bound = ("--from", str(FIRST), "--to", "2026-06-30", "--max-requests", str(replies))
            told = {**_MINUTES, **session(url)}
            ran = kitepipe("fetch", *bound, folder=folder, **told)
        used.append(ran.memory_mb)
        found = ran.report()
        what = f"fetch of {found['replies']:,} replies: most memory, MB"
        beside = f"of {found['bytes'] / 1e6:,.0f} MB of replies"
        yield Figure("memory", what, [ran.memory_mb], beside, [], most=300)
    what = "fetch, the most replies: memory, MB"
    yield Figure("memory", what, used[-1:], "the fewest", used[:1], most=1.15)


@dataclass(frozen=True, slots=True)
class _Fetched:
    """A fetch, what the sandbox received, and when that began to listen."""

    ran: Ran
    log: list[Entry]
    started: float


def _fetch(
    place: Workplace,
    asked: Wanted,
    seconds: float,
    *,
    play_ms: int = _PLAY_MS,
    changes: Mapping[float, float] | None = None,
    **more: object,
) -> _Fetched:
    """Fetch for about so long at the limit; `changes` are other limits, by the second."""
    folder = place.new_folder()
    line = (*_LINE, "--arrival-ms", str(play_ms), "--instruments", str(_NIGHT + 60))
    told = {**asked.settings, "rate_limit": _LIMIT, **more}
    bound = ("--max-requests", str(int(seconds * _LIMIT)))
    with sandbox(folder, *line) as url:
        started = time.monotonic()
        for after_s, rate in (changes or {}).items():
            Timer(after_s, limit_to, [url, rate]).start()
        ran = kitepipe("fetch", *asked.flags, *bound, folder=folder, **told, **session(url))
        return _Fetched(ran, history_log(url), started)


def _few_days() -> Wanted:
    """Return how to ask for one small window of each instrument, as each night does."""
    flags = ("--from", str(FIRST), "--to", str(FIRST + timedelta(days=6)))
    return Wanted(flags, {"tradingsymbols": "NSE:SAND*", "candle_interval": "day"})


def _rate(what: str, log: Sequence[Entry]) -> Figure:
    """Return the rate over the whole run."""
    seconds = log[-1]["received"] - log[0]["received"]
    rate = [(len(log) - 1) / seconds]
    what = f"{what}: requests/s over {seconds:.0f} s"
    return Figure("limit", what, rate, "Kite's", [_LIMIT], least=0.97)


def _refused(what: str, log: Sequence[Entry], most: int) -> Figure:
    """Return how often it came to a pause: what is refused within is of the same 429."""
    at = [entry["received"] for entry in log if entry["status"] == 429]
    pauses = [later for before, later in pairwise([-inf, *at]) if later - before > COOL_DOWN_S]
    beside = f"of {len(log)} requests"
    return Figure("limit", f"{what}: 429s", [len(pauses)], beside, [], most=most)


def _steady_from(log: Sequence[Entry], since: float, rate: float) -> float:
    """Return from when on 15 s pass without a 429, at 95 % of the rate or more."""
    for start in (entry["received"] for entry in log if entry["received"] >= since):
        span = [e for e in log if start <= e["received"] < start + _STEADY_S]
        taken = [entry for entry in span if entry["status"] != 429]
        if len(taken) == len(span) >= 0.95 * rate * _STEADY_S:
            return float(start)
    return inf


def _rates(received: list[float]) -> list[float]:
    """Return requests a second of each block of requests, in the order of receipt."""
    ends = received[::_BLOCK]
    return [_BLOCK / (end - start) for start, end in pairwise(ends)]
