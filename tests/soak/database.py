"""The database's faults while a run loads: cut, blocked, slow, read-only, and written by others."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Thread

import psycopg2

from tests.box_help import ended
from tests.soak.life import WANTED, Life, Soak, rounds

_WITH_CRASHES = "the server crashes"


def database_faults(soak: Soak, number: int) -> None:
    """Trouble the database at random instants of a run, again and again; then leave it alone."""
    rounds(soak, number, "the database's faults", _suffer)


def _suffer(life: Life) -> None:
    draw = life.soak.draw
    life.box.kitepipe("run", *WANTED, "--max-requests", "3")
    for _ in range(3):
        kinds = [kind for kind in _FAULTS if life.soak.may_crash or kind != _WITH_CRASHES]
        kind = draw.choice(kinds)
        with life.box.started("run", *WANTED) as process:
            time.sleep(draw.uniform(0.2, 1.2))
            trouble = Thread(target=_FAULTS[kind], args=(life,))
            trouble.start()
            end = ended(process)
            trouble.join()
        life.soak.counts[f"database: {kind}"] += 1
        life.expect(end.code in (0, 3, 13), f"{kind}: a run ends with {end.code}", end)
        _mend(life)


def _cut(life: Life) -> None:
    life.look(
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where datname = current_database() and pid <> pg_backend_pid()"
    )


def _crash(life: Life) -> None:
    """Kill a process of the server: it ends all the others, and recovers from its log."""
    ours = "select pid from pg_stat_activity where datname = current_database()"
    for (pid,) in life.look(ours)[:1]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _blocked(life: Life) -> None:
    life.look(
        "begin; lock table kite_series in access exclusive mode; select pg_sleep(0.5); commit"
    )


def _locked_the_other_way_round(life: Life) -> None:
    with suppress(psycopg2.errors.DeadlockDetected):
        life.look(
            "begin; lock table kite_load_ledger in access exclusive mode; select pg_sleep(0.1); "
            "lock table kite_series in access exclusive mode; commit"
        )


def _slow(life: Life) -> None:
    _alter(life, "set statement_timeout = '20ms'")
    _cut(life)


def _read_only(life: Life) -> None:
    _alter(life, "set default_transaction_read_only = on")
    _cut(life)


def _foreign(life: Life) -> None:
    """Insert candles that kitepipe is about to load, with other values."""
    for exchange, symbol, interval, at, *_ in life.soak.draw.sample(life.soak.whole, 50):
        life.look(
            "insert into kite_ohlcv_historic (instrument_id, candle_interval, date, open, high, "
            "low, close, volume, batch_id) select instrument_id, %s, %s, 1, 1, 1, 1, 1, 1 "
            "from kite_instruments where (exchange, tradingsymbol) = (%s, %s) "
            "on conflict do nothing",
            *(interval, at, exchange, symbol),
        )


def _alter(life: Life, what: str) -> None:
    ((name,),) = life.look("select quote_ident(current_database())")
    life.look(f"begin read write; alter database {name} {what}; commit")


def _mend(life: Life) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            _alter(life, "reset statement_timeout")
            _alter(life, "reset default_transaction_read_only")
            return
        except psycopg2.OperationalError:  # it recovers
            assert time.monotonic() < end, "the server does not come back"
            time.sleep(0.1)


_FAULTS: dict[str, Callable[[Life], None]] = {
    "connections cut": _cut,
    "a lock held": _blocked,
    "locks taken the other way round": _locked_the_other_way_round,
    "statement_timeout": _slow,
    "read-only": _read_only,
    "written by another": _foreign,
    _WITH_CRASHES: _crash,
}
