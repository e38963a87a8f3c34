"""Look at everything that a run needs, and say of each what is wrong and what to do."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace

from kitepipe.config import Settings
from kitepipe.doors import warehouse_dsn
from kitepipe.doors_kite import kite_door
from kitepipe.errors import KitepipeError, StagingBusy, StagingError
from kitepipe.holder import reading
from kitepipe.model import utc_now
from kitepipe.sessions import judged_at
from kitepipe.staging_open import log_of
from kitepipe.summary import Check, DoctorReport
from kitepipe.warehouse import DatabaseManager

_EDITIONS = {
    "timescale": "TimescaleDB under its own licence: hypertables, columnstore on request",
    "apache": "TimescaleDB, Apache edition: hypertables, no columnstore",
    "plain": "plain PostgreSQL: an ordinary table, no hypertable",
}


def doctor(settings: Settings) -> DoctorReport:
    """Check configuration, session, Kite, clock, staging and warehouse, in this order."""
    looks: dict[str, Callable[[Settings], Iterator[Check]]] = {
        "configuration": _configuration,
        "session": _session,
        "kite": _kite,
        "staging": _staging,
        "warehouse": _warehouse,
    }
    return DoctorReport(
        checks=[c for name, look in looks.items() for c in _safely(name, look, settings)]
    )


def _safely(
    name: str, look: Callable[[Settings], Iterator[Check]], settings: Settings
) -> list[Check]:
    try:
        return list(look(settings))
    except StagingBusy as error:  # another kitepipe is at work: nothing to mend
        return [Check(name, name == "staging" or None, str(error).partition("; wait")[0])]
    except KitepipeError as error:
        return [Check(name, False, str(error), error.exit_code)]


def _configuration(settings: Settings) -> Iterator[Check]:
    source = settings.config_file or "no file: defaults, variables and flags"
    yield Check("configuration", True, str(source))


def _session(settings: Settings) -> Iterator[Check]:
    session = settings.session()
    dies = f", ends {session.dies_at.isoformat(timespec='minutes')}" if session.dies_at else ""
    yield Check("session", True, f"there is one{dies}")


def _kite(settings: Settings) -> Iterator[Check]:
    try:
        settings.session()
    except KitepipeError:
        yield Check("kite", None, "not asked: there is no session")
        return
    with kite_door(replace(settings, max_attempts=1), wait=False) as kite:
        there, here = kite.check_session(), utc_now()
    yield Check("kite", True, f"{settings.api_root} takes the session")
    minutes = (here - there).total_seconds() / 60
    _, doubted = judged_at(there, here)
    detail = f"{minutes:+.1f} minutes against Kite's"
    if doubted:
        detail += ": set this machine's; until then the earlier tells what has settled"
    yield Check("clock", not doubted, detail, 3 if doubted else 0)


def _staging(settings: Settings) -> Iterator[Check]:
    path = settings.staging
    if not path.exists() and not log_of(path).exists():
        yield Check("staging", None, f"{path} is not there yet; 'kitepipe fetch' makes it")
        return
    with reading(path, wait=False) as staging:
        detail = f"{path}, made {staging.created_at:%Y-%m-%d}, replies of {staging.api_root}"
    if not all(os.access(place, os.W_OK) for place in (path, path.resolve().parent)):
        raise StagingError(f"{detail}; it or its folder cannot be written: a fetch needs that")
    yield Check("staging", True, detail)


def _warehouse(settings: Settings) -> Iterator[Check]:
    if settings.dsn is None:
        yield Check("warehouse", None, "no dsn is set: fetch works, load does not")
        return
    with warehouse_dsn(settings) as dsn, DatabaseManager(dsn) as warehouse:
        edition, server = warehouse.edition()
        yield Check("server", True, f"{server}: {_EDITIONS.get(edition, edition)}")
        warehouse.check_schema()
        totals = warehouse.totals()
    yield Check("schema", True, f"{totals.candles:,} candles of {totals.series:,} series")
