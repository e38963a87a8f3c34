"""Look-ups in the warehouse: of one series among few and among many, and of what is loaded."""

import random
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from time import perf_counter

from kitepipe.model import Instrument, Interval
from kitepipe.staging import Staging
from kitepipe.warehouse import DatabaseManager
from tests.bench.figures import Figure
from tests.bench.processes import kitepipe
from tests.bench.workplace import Workplace, checkpoint
from tests.servers import looking

_FEW, _MANY = 100, 10_000
_LOOKS = 300
_MOST_GROWTH = 1.5  # a look-up takes a fifth of a millisecond: less than this is noise
_REPLIES = (3_650, 36_500, 365_000)
_A_SERIES = 73  # minute windows since 2015
_LISTED = 100_000  # as many as Kite lists
_ROUNDS = 5
_GOAL_S = 1.0  # for 36,500 replies

Look = Callable[[DatabaseManager, int], object]


def look_up(place: Workplace) -> Iterator[Figure]:
    """Watermark and ledger of one series, at 10,000 series against 100."""
    with place.database() as few, place.database() as many:
        for dsn, series in ((few, _FEW), (many, _MANY)):
            _fill(dsn, series)
        with DatabaseManager(few) as small, DatabaseManager(many) as large:
            for name, look in _LOOK_UPS.items():
                taken = [
                    (_time(large, look, _MANY), _time(small, look, _FEW)) for _ in range(_LOOKS)
                ]
                ours = [1000 * seconds for seconds, _ in taken]
                others = [1000 * seconds for _, seconds in taken]
                what = f"{name}, at {_MANY:,} series: ms"
                beside = f"at {_FEW} series"
                yield Figure("look-up", what, ours, beside, others, most=_MOST_GROWTH)


def _max_date(warehouse: DatabaseManager, number: int) -> object:
    """Every second instrument is a contract: those are found by their terms, not by token."""
    kind, expiry = ("FUT", date(2026, 12, 31)) if number % 2 == 0 else ("EQ", None)
    instrument = Instrument(
        number * 256, "NSE", f"SYMBOL{number}", instrument_type=kind, expiry=expiry
    )
    return warehouse.get_max_date_for_instrument(instrument, Interval.DAY)


def _ledger(warehouse: DatabaseManager, number: int) -> object:
    with warehouse.series(number, Interval.DAY) as transaction:
        return transaction.state(), transaction.ledger()


_LOOK_UPS: dict[str, Look] = {
    "get_max_date_for_instrument": _max_date,
    "lock, state and ledger of a series": _ledger,
}


def _time(warehouse: DatabaseManager, look: Look, series: int) -> float:
    number = random.randint(1, series)
    started = perf_counter()
    found = look(warehouse, number)
    if found is None:
        raise RuntimeError(f"series {number} of {series} is not there")
    return perf_counter() - started


def _fill(dsn: str, series: int) -> None:
    """Write instruments at `day`, each with four replies and eight candles of as many quarters."""
    with looking(dsn) as look:
        _instruments(dsn, series)
        look(
            "update kite_instruments set instrument_type = 'FUT', expiry = '2026-12-31' "
            "where instrument_id % 2 = 0"
        )
        look(
            "insert into kite_ohlcv_historic select n, 'day', "
            "timestamptz '2025-01-01 00:00+05:30' + q * interval '3 months', 1, 1, 1, 1, 1, null, "
            "1 from generate_series(0, 7) as q, generate_series(1, %s) as n",
            series,
        )
        look(
            "insert into kite_series select n, 'day', '2025-01-01 00:00+05:30', "
            "'2026-10-01 00:00+05:30', 8, '1970-01-01', '2026-11-20 12:00Z' "
            "from generate_series(1, %s) as n",
            series,
        )
        _replies(dsn, "s", 4 * series, 4, "day")
    checkpoint(dsn)


def _instruments(dsn: str, count: int) -> None:
    with looking(dsn) as look:
        look(
            "insert into kite_instruments select n, 'NSE', 'SYMBOL' || n, '', 'EQ', 'NSE', null, "
            "0, 0.05, 1, n * 256, n, false, '2026-11-20' from generate_series(1, %s) as n",
            count,
        )
        look(
            "insert into kite_instrument_names select n, '2026-11-20', null, 'NSE', "
            "'SYMBOL' || n, n * 256, n from generate_series(1, %s) as n",
            count,
        )


def _replies(dsn: str, staging_id: str, replies: int, each: int, interval: str) -> None:
    with looking(dsn) as look:
        look(
            "insert into kite_load_ledger (staging_id, reply_id, instrument_id, candle_interval, "
            "sha256, window_first, window_last, fetched_at, epoch, first_date, last_date) "
            "select %s, n, 1 + (n - 1) / %s, %s::kite_candle_interval, repeat('0', 64), "
            "'2026-01-01', '2026-03-01', '2026-11-20 12:00Z', '1970-01-01', '2026-01-01', "
            "'2026-03-01' from generate_series(1, %s) as n",
            *(staging_id, each, interval, replies),
        )
        look("analyze")


def load_nothing(place: Workplace) -> Iterator[Figure]:
    """`kitepipe load` where everything is loaded: what the ledger and staging are asked."""
    told_s = []
    for replies in _REPLIES:
        folder = place.new_folder()
        staging_id = _stage(folder / "kitepipe.duckdb", replies)
        with place.database() as dsn:
            _instruments(dsn, _LISTED)
            _replies(dsn, staging_id, replies, _A_SERIES, "minute")
            checkpoint(dsn)
            taken = []
            for _ in range(1 + _ROUNDS):
                ran = kitepipe("load", folder=folder, dsn=dsn)
                if ran.report()["series"]:
                    raise RuntimeError(f"something was left to load: {ran.output}")
                taken.append(ran.seconds)
        told_s.append(taken.pop(0))
        most = _GOAL_S if replies == _REPLIES[1] else None
        what = f"load of what is loaded, {replies:,} replies: s"
        yield Figure("nothing", what, taken, "", [], most=most)
    what = f"the first load after a dump, {_LISTED:,} instruments: s"
    yield Figure("nothing", what, told_s, "", [])


def _stage(path: Path, replies: int) -> str:
    """Write a staging file of minute replies without bodies, and return its id."""
    with Staging.write(path, "http://127.0.0.1") as staging, staging.cursor() as cursor:
        cursor.execute("insert into snapshot values (1, timestamp '2026-11-20 03:30', '', '', 0)")
        cursor.execute(
            "insert into instrument select 1, n, n * 256, n, 'NSE', 'SYMBOL' || n, '', 'EQ', "
            "'NSE', null, 0, 0.05, 1, false from range(1, $n + 1) as t (n)",
            {"n": _LISTED},
        )
        cursor.execute(
            "insert into chunk select n, 1 + (n - 1) // $each, 256 * (1 + (n - 1) // $each), "
            "'NSE', 'SYMBOL' || (1 + (n - 1) // $each), 1, 'minute', date '2026-01-01', "
            "date '2026-03-01', false, false, timestamp '1970-01-01', "
            "timestamp '2026-11-20 12:00', 1, null from range(1, $n + 1) as t (n)",
            {"n": replies, "each": _A_SERIES},
        )
        cursor.execute(
            "insert into reply select chunk_id, chunk_id, repeat('0', 64), 1000000, asked_at, "
            "asked_at, 15000, first_date, last_date, last_date, last_date, "
            "list_transform(range(41), lambda n: first_date + n::int), "
            "list_transform(range(41), lambda n: 375) from chunk"
        )
        return staging.staging_id
