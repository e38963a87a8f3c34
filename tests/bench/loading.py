"""Loading: from raw replies in staging to committed rows, against COPY and parsing."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from time import perf_counter

import psycopg2

from kitepipe.settings import Settings
from kitepipe.sql import load as statement
from tests.bench.correcting import corrected, impossible
from tests.bench.figures import Figure
from tests.bench.processes import Ran, kitepipe, run
from tests.bench.workplace import Material, Workplace, checkpoint
from tests.servers import looking

_BUFFER = 1 << 20  # what kitepipe hands to libpq at a time
_AGAIN_PAIRS = 3
_CORRECTED = 100  # one candle of so many
_BAD_WINDOWS = 32


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
            loads.append(run_load(material, dsn, expect=material.candles))
    rates = [material.candles / ran.seconds for ran in loads]
    floor = [material.candles / seconds for seconds in copies]
    what = f"load, new: candles/s ({_size(material)})"
    yield Figure("load", what, rates, "bare binary COPY", floor, least=0.95)


def load_growing(place: Workplace) -> Iterator[Figure]:
    """`kitepipe load` of few and of many candles: what a candle costs does not grow."""
    materials = [place.material(*size) for size in place.size.loads]
    cost: list[float] = []
    for material in materials:
        with place.database() as dsn:
            ran = run_load(material, dsn, expect=material.candles)
        cost.append(1e6 * ran.seconds / material.candles)
        what = f"load grows with the candles: us for each ({_size(material)})"
        yield Figure("growth", what, cost[-1:], "the smallest", cost[:1], most=1.15)


def load_changed(place: Workplace) -> Iterator[Figure]:
    """`kitepipe load` of replies with 1 % of candles corrected, against the first load."""
    material = place.material(place.size.instruments, place.size.windows)
    newer = corrected(material, place.new_folder(), _CORRECTED)
    first_s, again_s, first_wal, again_wal = [], [], [], []
    for _ in range(_AGAIN_PAIRS):
        with _loaded(place, material) as (dsn, first, wal):
            first_s.append(material.candles / first.seconds)
            first_wal.append(wal / 1e6)
            before = _wal(dsn)
            ran = kitepipe("load", folder=newer.folder, dsn=dsn)
            again_s.append(material.candles / ran.seconds)
            again_wal.append((_wal(dsn) - before) / 1e6)
            if (ran.report()["new"], ran.report()["changed"]) != (0, newer.changed):
                raise RuntimeError(f"load: {newer.changed} corrections expected: {ran.output}")
    what = f"load, 1 % changed: candles/s ({newer.changed:,} are written)"
    yield Figure("changed", what, again_s, "all of them new", first_s, least=1)
    yield Figure("changed", "load, 1 % changed: WAL, MB", again_wal, "all of them new", first_wal)


def replay(place: Workplace) -> Iterator[Figure]:
    """`kitepipe replay` into a database that has everything, against parsing alone."""
    material = place.material(place.size.instruments, place.size.windows)
    replays, parses = [], []
    with _loaded(place, material) as (dsn, *_):
        for _ in range(place.size.pairs):
            parses.append(material.candles / _parse(material))
            checkpoint(dsn)
            ran = kitepipe("replay", folder=material.folder, dsn=dsn)
            if ran.report()["equal"] != material.candles or ran.report()["new"]:
                raise RuntimeError(f"replay is not what it should be: {ran.output}")
            replays.append(material.candles / ran.seconds)
    beside = f"parsing alone, {Settings.load_workers} threads"
    yield Figure("replay", "replay, all equal: candles/s", replays, beside, parses, least=0.6)


def load_memory(place: Workplace) -> Iterator[Figure]:
    """`load`, `replay` and `verify` of few and of many replies: memory does not grow."""
    used: dict[str, list[float]] = {"load": [], "replay": [], "verify": []}
    for size in place.size.memory_loads:
        material = place.material(*size)
        with place.database() as dsn:
            for verb, memory in used.items():
                memory.append(kitepipe(verb, folder=material.folder, dsn=dsn).memory_mb)
                what = f"{verb} of {material.replies:,} replies: most memory, MB"
                beside = f"of {material.bytes / 1e6:,.0f} MB of replies"
                yield Figure("load-memory", what, memory[-1:], beside, [], most=300)
    for verb, memory in used.items():
        what = f"{verb}, the most replies: memory, MB"
        yield Figure("load-memory", what, memory[-1:], "the fewest", memory[:1], most=1.15)


def quarantine_memory(place: Workplace) -> Iterator[Figure]:
    """`load` of replies of one series in which nearly every candle breaks a rule: its memory."""
    bad = corrected(place.material(1, _BAD_WINDOWS), place.new_folder(), 1, impossible)
    with place.database() as dsn:
        ran = run(["-m", "kitepipe", "load", "--json"], bad.folder, 3, dsn=dsn)
    if ran.report()["quarantined"] != bad.changed:
        raise RuntimeError(f"load: {bad.changed} bad candles expected: {ran.output}")
    what = f"load of {bad.changed:,} bad candles: most memory, MB"
    yield Figure("quarantine", what, [ran.memory_mb], "", [], most=300)


def run_load(material: Material, dsn: str, *, expect: int) -> Ran:
    """Run `kitepipe load`; RuntimeError where it does not find so many new candles."""
    ran = kitepipe("load", folder=material.folder, dsn=dsn)
    if ran.report()["new"] != expect:
        raise RuntimeError(f"load: {expect} new candles were expected: {ran.output}")
    return ran


def _size(material: Material) -> str:
    return f"{material.replies:,} replies, {material.candles / 1e6:.2g} M candles"


@contextmanager
def _loaded(place: Workplace, material: Material) -> Iterator[tuple[str, Ran, int]]:
    """Lend a database with all of it; yields it, the load, and the bytes of WAL it took."""
    with place.database() as dsn:
        before = _wal(dsn)
        first = run_load(material, dsn, expect=material.candles)
        written = _wal(dsn) - before
        checkpoint(dsn)
        yield dsn, first, written


def _wal(dsn: str) -> int:
    with looking(dsn) as look:
        return int(look("select pg_current_wal_lsn() - '0/0'::pg_lsn")[0][0])


def _prepared(place: Workplace, material: Material) -> Path:
    """Return a file of all rows as `kitepipe load` sends them, series by series, for one COPY.

    It comes from a database that was loaded: the format is the same out as in.
    """
    path = material.folder / "rows"
    taken = statement("warehouse_copy_new").rpartition("kite_ohlcv_historic (")[2].partition(")")[0]
    query = f"select {taken} from kite_ohlcv_historic order by instrument_id, date"
    with (
        _loaded(place, material) as (dsn, *_),
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
    """Return how long a process takes that parses all of it, in as many threads as a load has."""
    ran = run(["-m", "tests.bench.parsing", str(material.staging)], material.folder)
    if ran.report()["candles"] != material.candles:
        raise RuntimeError(f"{material.candles} candles were to be parsed: {ran.output}")
    return ran.seconds
