"""The stages together under one configuration.

`import_historic_data_from_kite` is what a scheduler calls; the commands call the rest.
"""

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from kitepipe.config import ConfigLoader, Settings, changed
from kitepipe.doctor import doctor
from kitepipe.doors import warehouse_dsn
from kitepipe.doors_kite import kite_door
from kitepipe.errors import ArchiveOutOfReach, SchemaMissing
from kitepipe.forecast import forecast
from kitepipe.holder import reading
from kitepipe.load import works
from kitepipe.model import Interval, utc_now
from kitepipe.pipeline_load import instrument_ids, load, replay, unloaded
from kitepipe.pipeline_run import fetch_and_load
from kitepipe.pipeline_staging import archive, backup, compact, rescue
from kitepipe.plan import Bounds
from kitepipe.prepare import Clock, fetching, kite_now, staging_door, take_dumps
from kitepipe.progress import Progress, Silent
from kitepipe.staging_candles import CandleParser
from kitepipe.status import status
from kitepipe.summary import (
    Failure,
    FetchReport,
    PlanReport,
    RunReport,
    SchemaReport,
    SnapshotReport,
    VerifyReport,
)
from kitepipe.verify import Proof, verify_beyond, verify_series
from kitepipe.warehouse import DatabaseManager


def take_instruments(
    settings: Settings, progress: Progress, *, wait: bool = False
) -> SnapshotReport:
    """Take the instruments dumps that the settings ask for, whether or not they are fresh."""
    with (
        kite_door(settings, wait=wait) as kite,
        staging_door(settings, kite, "instruments", wait=wait) as (staging, _),
    ):
        now = kite_now(kite, utc_now)
        return take_dumps(staging, kite, settings.exchanges or ("",), now, progress)


def plan_fetch(settings: Settings, bounds: Bounds, *, clock: Clock = utc_now) -> PlanReport:
    """Return what `fetch` would ask, without asking history; takes a dump where none is fresh."""
    with fetching(settings, bounds, "fetch", clock, Silent()) as ready:
        report = forecast(ready.agenda, settings.rate_limit, ready.instruments)
        return replace(report, warnings=ready.warnings)


def fetch(
    settings: Settings, bounds: Bounds, progress: Progress, *, clock: Clock = utc_now
) -> FetchReport:
    """Stage 1: ask what is not covered and stage the replies. Needs Kite, not the database."""
    with fetching(settings, bounds, "fetch", clock, progress) as ready:
        return ready.go(progress)


def run(
    settings: Settings, bounds: Bounds, progress: Progress, *, clock: Clock = utc_now
) -> RunReport:
    """Fetch and load at the same time.

    Where the fetch ends early, what is staged is loaded all the same and the error raised after;
    where the warehouse is down, fetching goes on and WarehouseError is raised at the end.
    """
    return fetch_and_load(settings, bounds, progress, clock)


def verify(settings: Settings, progress: Progress, *, delete_foreign: bool = False) -> VerifyReport:
    """Compare every staged series with the warehouse, and name each difference by candle."""
    proof = Proof()
    with (
        warehouse_dsn(settings) as dsn,
        DatabaseManager(dsn) as warehouse,
        reading(settings.staging, wait=False, archive=settings.archive) as staging,
        staging.cursor() as cursor,
        closing(CandleParser(staging)) as parser,
    ):
        warehouse.check_schema()
        every = unloaded(cursor, warehouse, staging.staging_id, again=True)
        ids = instrument_ids(warehouse, staging, cursor, every)
        with progress.meter("verify", len(every), "series") as meter:
            for series in every:
                for work in works(cursor, [series], ids, again=True, as_of=warehouse.setup().as_of):
                    try:
                        verify_series(
                            *(warehouse, parser, staging.staging_id, work, proof),
                            delete_foreign=delete_foreign,
                        )
                    except ArchiveOutOfReach as error:
                        proof.failures.append(Failure(str(series), str(error)))
                meter.advance(1, str(series))
        verify_beyond(warehouse, proof)
    return proof.report()


def apply_schema(settings: Settings, *, columnstore: bool = False) -> SchemaReport:
    """Make the warehouse's tables where they are missing, and tell what the server is."""
    with warehouse_dsn(settings) as dsn, DatabaseManager(dsn) as warehouse:
        edition, server, created = warehouse.apply_schema(columnstore)
    return SchemaReport(edition, server, columnstore, created)


def import_historic_data_from_kite(
    settings: Settings | Path | None = None,
    *,
    bounds: Bounds | None = None,
    progress: Progress | None = None,
    **overrides: Any,
) -> RunReport:
    """Fetch and load all that the configuration names, and make the schema where it is missing.

    `settings`: ready ones, or the path of a configuration file, or None for the one in the current
    folder; `overrides` are settings by name. Returns the summary, also of an incomplete run (see
    its `failures`). Raises AllInstrumentsFailed, AuthenticationError, UsageError and the other
    classes of `kitepipe.errors`.
    """
    if not isinstance(settings, Settings):
        settings = ConfigLoader(settings).load(**overrides)
    elif overrides:
        settings = changed(settings, **overrides)
    if not settings.enabled:
        return _disabled()
    with warehouse_dsn(settings) as dsn:
        with DatabaseManager(dsn) as warehouse:
            try:
                warehouse.check_schema()
            except SchemaMissing:
                warehouse.apply_schema()
        return run(replace(settings, dsn=dsn), bounds or Bounds(), progress or Silent())


def process_instrument(
    instrument: str, interval: Interval | str, settings: Settings, bounds: Bounds | None = None
) -> RunReport:
    """Fetch and load one instrument, such as "NSE:INFY", at one interval; errors as `run`."""
    if not settings.enabled:
        return _disabled()
    one = changed(settings, tradingsymbols=(instrument,), candle_interval=[interval])
    return run(one, bounds or Bounds(), Silent())


def _disabled() -> RunReport:
    return RunReport(warnings=["enabled = false: nothing was done"])


__all__ = [
    "apply_schema",
    "archive",
    "backup",
    "compact",
    "doctor",
    "fetch",
    "import_historic_data_from_kite",
    "load",
    "plan_fetch",
    "process_instrument",
    "replay",
    "rescue",
    "run",
    "status",
    "take_instruments",
    "verify",
]
