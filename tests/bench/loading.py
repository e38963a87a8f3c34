"""Loading: from raw replies in staging to committed rows, against COPY, parsing and a peer."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from time import perf_counter

import numpy as np
import psycopg2

from kitepipe.load_decide import groups
from kitepipe.model import Interval
from kitepipe.settings import Settings
from kitepipe.sql import load as statement
from kitepipe.staging import Staging
from kitepipe.staging_candles import CandleParser, Part
from kitepipe.staging_series import select_claims, select_staged_series
from tests.bench import official
from tests.bench.figures import Figure
from tests.bench.processes import Ran, kitepipe
from tests.bench.workplace import Material, Workplace, checkpoint

_BUFFER = 1 << 20  # what kitepipe hands to libpq at a time
_SMALL = (1, 4)
_SMALL_PAIRS = 3
_REPLAY_PAIRS = 5
_DUCKDB_MEMORY_MB = 512  # staging's memory_limit


def load_new(place: Workplace) -> Iterator[Figure]:
    """`kitepipe load` of new candles against a bare COPY of the same rows on one connection."""
    material = place.material(place.size.instruments, place.size.windows)
    rows = _prepared(place, material)
    loads: list[Ran] = []
    copies: list[float] = []
    for _ in range(place.size.pairs):
        with place.database() as dsn:
            copies.append(_copy(dsn, rows))
        with place.database() as dsn:
            loads.append(_load(material, dsn, expect=material.candles))
    rates = [material.candles / ran.seconds for ran in loads]
    floor = [material.candles / seconds for seconds in copies]
    size = f"{material.replies} replies, {material.candles:,} candles"
    yield Figure("load", f"load, new: candles/s ({size})", rates, "bare binary COPY", floor)
    memory = [ran.memory_mb for ran in loads]
    beside = "memory_limit of staging"
    yield Figure("load", "load, new: most memory, MB", memory, beside, [_DUCKDB_MEMORY_MB])


def load_again(place: Workplace) -> Iterator[Figure]:
    """`kitepipe load` of what is loaded already, against its first load."""
    material = place.material(place.size.instruments, place.size.windows)
    with _loaded(place, material) as (dsn, first):
        again = [_load(material, dsn, expect=0).seconds for _ in range(place.size.pairs)]
    what = f"load again: s ({material.replies} replies)"
    yield Figure("again", what, again, "its first load", [first.seconds])


def replay(place: Workplace) -> Iterator[Figure]:
    """`kitepipe replay` into a database that has everything, against parsing alone."""
    material = place.material(place.size.instruments, place.size.windows)
    replays, parses = [], []
    with _loaded(place, material) as (dsn, _):
        for _ in range(_REPLAY_PAIRS):
            parses.append(material.candles / _parse(material))
            checkpoint(dsn)
            ran = kitepipe("replay", folder=material.folder, dsn=dsn)
            if ran.report()["equal"] != material.candles or ran.report()["new"]:
                raise RuntimeError(f"replay is not what it should be: {ran.output}")
            replays.append(material.candles / ran.seconds)
    beside = f"parsing alone, {Settings.load_workers} threads"
    yield Figure("replay", "replay, all equal: candles/s", replays, beside, parses)


def load_beside_official(place: Workplace) -> Iterator[Figure]:
    """The smallest load against the official client's parse and an upsert by execute_values."""
    material = place.material(*_SMALL)
    bodies = material.bodies()
    ours, theirs = [], []
    for _ in range(_SMALL_PAIRS):
        with place.database() as dsn:
            theirs.append(material.candles / official.upsert(dsn, bodies))
        with place.database() as dsn:
            ran = _load(material, dsn, expect=material.candles)
            ours.append(material.candles / ran.seconds)
    what = f"load, {material.replies} replies only: candles/s"
    beside = "kiteconnect + execute_values"
    yield Figure("official-load", what, ours, beside, theirs)


def _load(material: Material, dsn: str, *, expect: int) -> Ran:
    ran = kitepipe("load", folder=material.folder, dsn=dsn)
    if ran.report()["new"] != expect:
        raise RuntimeError(f"load: {expect} new candles were expected: {ran.output}")
    return ran


@contextmanager
def _loaded(place: Workplace, material: Material) -> Iterator[tuple[str, Ran]]:
    with place.database() as dsn:
        first = _load(material, dsn, expect=material.candles)
        checkpoint(dsn)
        yield dsn, first


def _prepared(place: Workplace, material: Material) -> Path:
    """Return a file of all rows as `kitepipe load` sends them, series by series, for one COPY.

    It comes from a database that was loaded: the format is the same out as in.
    """
    path = material.folder / "rows"
    taken = statement("warehouse_copy_new").rpartition("kite_ohlcv_historic (")[2].partition(")")[0]
    query = f"select {taken} from kite_ohlcv_historic order by instrument_id, date"
    with (
        _loaded(place, material) as (dsn, _),
        closing(psycopg2.connect(dsn)) as connection,
        connection.cursor() as cursor,
        path.open("wb") as file,
    ):
        cursor.copy_expert(f"copy ({query}) to stdout (format binary)", file)
    return path


def _copy(dsn: str, rows: Path) -> float:
    """Return how long one COPY and its commit take."""
    with closing(psycopg2.connect(dsn)) as connection, rows.open("rb") as file:
        started = perf_counter()
        with connection, connection.cursor() as cursor:
            cursor.copy_expert(statement("warehouse_copy_new"), file, _BUFFER)
        return perf_counter() - started


def _parse(material: Material) -> float:
    """Return how long it takes to parse and judge every reply, in as many threads as load has."""
    started = perf_counter()
    with Staging.read(material.staging) as staging:
        with staging.cursor() as cursor:
            nothing: dict[str, object] = {"reply_id": np.empty(0, np.int64)}
            keys = [one.key for one in select_staged_series(cursor, nothing, None)]
            claims = select_claims(cursor, keys, None)

        def parse(key: tuple[int, str, bool]) -> int:
            parts = [Part(r, (r.settled,)) for r in claims[key] if r.settled]
            with closing(CandleParser(staging.cursor())) as parser:
                parsed = [parser.parse(group, Interval(key[1])) for group in groups(parts)]
                return sum(len(one.candles["at_us"]) for one in parsed)

        with ThreadPoolExecutor(Settings.load_workers) as threads:
            candles = sum(threads.map(parse, keys))
    if candles != material.candles:
        raise RuntimeError(f"{candles} candles parsed instead of {material.candles}")
    return perf_counter() - started
