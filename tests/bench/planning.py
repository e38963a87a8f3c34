"""Planning: from an open staging file to the first jobs, for very many series; nothing is asked."""

import json
import sys
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from statistics import median
from time import perf_counter

from kitepipe.fetch_agenda import plan_agenda
from kitepipe.fetch_plan import Horizon
from kitepipe.filters import InstrumentFilter
from kitepipe.model import IST, Interval
from kitepipe.plan import Bounds
from kitepipe.staging import Cursor, Staging
from kitepipe.staging_series import note_known
from kitepipe.staging_wanted import want_instruments
from tests.bench.figures import Figure
from tests.bench.processes import Ran, run
from tests.bench.workplace import Workplace

_SIZES = (1_000, 10_000, 100_000)
_ROUNDS = 3
_GOAL_S = 5.0
_DUCKDB_MEMORY_MB = 512  # staging's memory_limit
_ROOT = "http://127.0.0.1"
_NIGHT = datetime(2026, 11, 20, 20, tzinfo=IST)


def plan(place: Workplace) -> Iterator[Figure]:
    """The plan of a night, and of a first run, at eight intervals, with the first jobs made."""
    for kind in ("night", "first"):
        taken = []
        for instruments in _SIZES:
            rounds = [_measure(place, kind, instruments) for _ in range(_ROUNDS)]
            seconds = [ran.report()["seconds"] for ran in rounds]
            taken.append(median(seconds))
            size = f"{instruments:,} instruments, {rounds[0].report()['requests']:,} requests"
            yield Figure("plan", f"plan, {kind}, {size}: s", seconds, "", [], most=_GOAL_S)
            memory = [ran.memory_mb for ran in rounds]
            beside = "memory_limit of staging"
            what = f"plan, {kind}, {instruments:,} instruments: most memory, MB"
            yield Figure("plan", what, memory, beside, [_DUCKDB_MEMORY_MB])
        grown, times = taken[-1] / taken[-2], _SIZES[-1] / _SIZES[-2]
        what = f"plan, {kind}: with {times:.0f} times the instruments, times the seconds"
        yield Figure("plan", what, [grown], "grows with instruments", [times])


def _measure(place: Workplace, kind: str, instruments: int) -> Ran:
    """Plan in a process of its own, in a file that another process has made once."""
    path = place.folder / f"plan-{kind}-{instruments}.duckdb"
    if not path.exists():
        run(["-m", "tests.bench.planning", "fill", str(path), kind, str(instruments)], place.folder)
    ran = run(["-m", "tests.bench.planning", "plan", str(path)], place.folder)
    if ran.report()["series"] != instruments * len(Interval):
        raise RuntimeError(f"not every series was planned: {ran.output}")
    return ran


def fill(path: Path, instruments: int, *, with_history: bool) -> None:
    """Write what is listed and, of each series, two replies without bodies: up to yesterday.

    Every hundredth instrument has a hole of three days.
    """
    with Staging.write(path, _ROOT) as staging, staging.cursor() as cursor:
        _list(cursor, instruments)
        if with_history:
            _tell(cursor, instruments)


def _list(cursor: Cursor, instruments: int) -> None:
    cursor.execute("insert into snapshot values (1, timestamp '2026-11-20 03:30', '', '', 0)")
    cursor.execute(
        "insert into instrument select 1, n, n * 256, n, 'NSE', 'SYMBOL' || n, 'NAME ' || n, 'EQ', "
        "'NSE', null, 0, 0.05, 1, false from range(1, $n + 1) as t (n)",
        {"n": instruments},
    )


def _tell(cursor: Cursor, instruments: int) -> None:
    cursor.execute(
        "insert into chunk select row_number() over (order by night, n, interval), n, n * 256, "
        "'NSE', 'SYMBOL' || n, 1, interval, "
        "case when night then date '2026-11-19' else date '2015-02-01' + (n % 3000)::int end, "
        "case when night then date '2026-11-19' "
        "else date '2026-11-18' - (case when n % 100 = 0 then 3 else 0 end) end, "
        "false, false, timestamp '1970-01-01', timestamp '2026-11-19 14:30', 1, null "
        "from (values (false), (true)) as kind (night), range(1, $n + 1) as t (n), "
        "unnest($intervals) as i (interval)",
        {"n": instruments, "intervals": [interval.value for interval in Interval]},
    )
    # Day candles were asked back until 2,000 days were empty: it is known where history begins.
    cursor.execute("update chunk set first_date = first_date - 2000 where interval = 'day' "
                   "and first_date < date '2026-11-19'")  # fmt: skip
    cursor.execute(
        "insert into reply select chunk_id, chunk_id, '', 1, asked_at, asked_at, 1, first_date + "
        "case when interval = 'day' and first_date < last_date then 2000 else 0 end, last_date, "
        "last_date, last_date, [last_date], [1] from chunk"
    )


def _plan(path: Path) -> dict[str, object]:
    """Plan as `fetch` does, with the file open for writing."""
    horizon = Horizon(Bounds(), date(1995, 1, 1), _NIGHT, timedelta(minutes=15))
    started = perf_counter()
    with Staging.write(path, _ROOT) as staging, staging.cursor() as cursor:
        want_instruments(cursor, InstrumentFilter())
        note_known(cursor, oi=False)
        agenda = plan_agenda(cursor, list(Interval), horizon, oi=False)
        next(agenda.in_turn())
        seconds = perf_counter() - started
    return {"seconds": seconds, "series": agenda.series, "requests": agenda.requests}


if __name__ == "__main__":
    verb, name, *rest = sys.argv[1:]
    if verb == "fill":
        fill(Path(name), int(rest[1]), with_history=rest[0] == "night")
    else:
        print(json.dumps(_plan(Path(name))))
