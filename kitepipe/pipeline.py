"""The stages together under one configuration.

`import_historic_data_from_kite` is what a scheduler calls; the commands call the rest.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from kitepipe.config import ConfigLoader, Settings, changed
from kitepipe.doctor import doctor
from kitepipe.doors import kite_door, warehouse_dsn
from kitepipe.errors import (
    AllInstrumentsFailed,
    AuthenticationError,
    KiteUnreachable,
    WarehouseError,
)
from kitepipe.fetch_queue import Job
from kitepipe.forecast import forecast
from kitepipe.holder import reading, writing
from kitepipe.load import InstrumentIds, Loader, LoadOptions, works
from kitepipe.model import Interval, utc_now
from kitepipe.plan import Bounds
from kitepipe.prepare import Clock, Fetching, fetching, kite_now, take_dumps
from kitepipe.progress import Progress, Silent
from kitepipe.staging import Cursor, Staging
from kitepipe.staging_candles import CandleParser
from kitepipe.staging_instruments import instrument_names
from kitepipe.staging_series import StagedSeries, select_staged_series
from kitepipe.status import status
from kitepipe.summary import (
    FetchReport,
    LoadReport,
    PlanReport,
    RunReport,
    SchemaReport,
    SnapshotReport,
    VerifyReport,
)
from kitepipe.verify import Proof, verify_series
from kitepipe.warehouse import DatabaseManager

log = logging.getLogger(__name__)


def take_instruments(settings: Settings, progress: Progress) -> SnapshotReport:
    """Take the instruments dumps that the settings ask for, whether or not they are fresh."""
    with (
        kite_door(settings, wait=False) as kite,
        writing(settings.staging, settings.api_root, "instruments", wait=False) as (staging, _),
    ):
        now = kite_now(kite, utc_now)
        return take_dumps(staging, kite, settings.exchanges or ("",), now, progress)


def plan_fetch(settings: Settings, bounds: Bounds, *, clock: Clock = utc_now) -> PlanReport:
    """Return what `fetch` would ask, without asking history; takes a dump where none is fresh."""
    with fetching(settings, bounds, "fetch", clock, Silent()) as ready:
        report = forecast(ready.jobs, settings.rate_limit, ready.instruments)
        return replace(report, warnings=ready.warnings)


def fetch(
    settings: Settings, bounds: Bounds, progress: Progress, *, clock: Clock = utc_now
) -> FetchReport:
    """Stage 1: ask what is not covered and stage the replies. Needs Kite, not the database."""
    with fetching(settings, bounds, "fetch", clock, progress) as ready:
        return ready.go(progress)


def load(settings: Settings, progress: Progress, *, wait: bool = False) -> LoadReport:
    """Stage 2: load the staged replies that the warehouse does not know. Does not need Kite."""
    return _load(settings, progress, wait=wait)


def replay(
    settings: Settings, progress: Progress, *, as_of: datetime | None = None, wait: bool = False
) -> LoadReport:
    """Load every staged reply anew; with `as_of`, what had been fetched by that instant."""
    return _load(settings, progress, wait=wait, again=True, as_of=as_of)


def run(
    settings: Settings, bounds: Bounds, progress: Progress, *, clock: Clock = utc_now
) -> RunReport:
    """Fetch and load at the same time.

    Where the fetch ends early, what is staged is loaded all the same and the error raised after;
    where the warehouse is down, fetching goes on and WarehouseError is raised at the end.
    """
    try:
        return _run(settings, bounds, progress, clock)
    except (AuthenticationError, KiteUnreachable, AllInstrumentsFailed) as error:
        if settings.staging.exists():
            report = _load(settings, progress, wait=bounds.wait)
            log.warning("what was staged is loaded: %d new candles", report.new)
        raise error


def verify(settings: Settings, progress: Progress, *, delete_foreign: bool = False) -> VerifyReport:
    """Compare every staged series with the warehouse, and name each difference by candle."""
    proof = Proof()
    with (
        warehouse_dsn(settings) as dsn,
        DatabaseManager(dsn) as warehouse,
        reading(settings.staging, wait=False) as staging,
        staging.cursor() as cursor,
        closing(CandleParser(staging.cursor())) as parser,
    ):
        warehouse.check_schema()
        ids = _instrument_ids(warehouse, staging, cursor)
        every = _unloaded(cursor, warehouse, staging.staging_id, again=True)
        with progress.meter("verify", len(every), "series") as meter:
            for series in every:
                for work in works(cursor, [series], ids, again=True, as_of=warehouse.as_of()):
                    verify_series(
                        *(warehouse, parser, staging.staging_id, work, proof),
                        delete_foreign=delete_foreign,
                    )
                meter.advance(1, str(series))
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
        return RunReport(warnings=["enabled = false: nothing was done"])
    with warehouse_dsn(settings) as dsn:
        with DatabaseManager(dsn) as warehouse:
            warehouse.apply_schema()
        return run(replace(settings, dsn=dsn), bounds or Bounds(), progress or Silent())


def process_instrument(
    instrument: str, interval: Interval | str, settings: Settings, bounds: Bounds | None = None
) -> RunReport:
    """Fetch and load one instrument, such as "NSE:INFY", at one interval; errors as `run`."""
    one = replace(settings, tradingsymbols=(instrument,), candle_interval=(Interval(interval),))
    return run(one, bounds or Bounds(), Silent())


def _run(settings: Settings, bounds: Bounds, progress: Progress, clock: Clock) -> RunReport:
    with (
        warehouse_dsn(settings) as dsn,
        fetching(replace(settings, dsn=dsn), bounds, "run", clock, progress) as ready,
    ):
        try:
            with _loading(ready, replace(settings, dsn=dsn), progress) as (loader, submit):
                fetched = ready.go(progress, submit)
                loader.wait()
                return RunReport(fetch=fetched, load=loader.report())
        except WarehouseError as error:
            log.error("%s; loading stops, fetching goes on", error)
            left = [job for job in ready.jobs if job.windows]
            replace(ready, jobs=left).go(progress)
            raise


@contextmanager
def _loading(
    ready: Fetching, settings: Settings, progress: Progress
) -> Iterator[tuple[Loader, Callable[[Job], None]]]:
    """Open the loading half of a run: it begins with what was staged before."""
    assert settings.dsn is not None  # warehouse_dsn gave it
    staging = ready.staging
    with ExitStack() as stack:
        warehouse = stack.enter_context(DatabaseManager(settings.dsn))
        warehouse.check_schema()
        cursor = stack.enter_context(staging.cursor())
        ids = _instrument_ids(warehouse, staging, cursor)
        unloaded = _unloaded(cursor, warehouse, staging.staging_id)
        meter = stack.enter_context(progress.meter("load", len(unloaded), "series"))
        options = LoadOptions(settings.dsn, settings.load_workers)
        loader = stack.enter_context(Loader(staging, options, meter))
        loader.submit(unloaded, ids)

        def submit(job: Job) -> None:
            if job.staged:
                meter.grow(1)
                loader.submit([job.staged], ids)

        yield loader, submit


def _load(
    settings: Settings,
    progress: Progress,
    *,
    wait: bool,
    again: bool = False,
    as_of: datetime | None = None,
) -> LoadReport:
    with warehouse_dsn(settings) as dsn, DatabaseManager(dsn) as warehouse:
        warehouse.check_schema()
        warehouse.claim_as_of(as_of)
        with reading(settings.staging, wait=wait) as staging, staging.cursor() as cursor:
            ids = _instrument_ids(warehouse, staging, cursor)
            pending = _unloaded(cursor, warehouse, staging.staging_id, again, as_of)
        options = LoadOptions(dsn, settings.load_workers, again, as_of)
        reports = []
        with progress.meter("replay" if again else "load", len(pending), "series") as meter:
            for batch in _rounds(pending, settings.batch_size):
                with (
                    reading(settings.staging, wait=wait) as staging,
                    Loader(staging, options, meter) as loader,
                ):
                    loader.submit(batch, ids)
                    loader.wait()
                    reports.append(loader.report())
        return LoadReport.sum(reports)


# The file is let go after each round, so that a fetch that waits for it need not wait long.
_ROUND_BYTES = 256 * 1024 * 1024


def _rounds(series: Sequence[StagedSeries], most: int) -> Iterator[list[StagedSeries]]:
    batch: list[StagedSeries] = []
    for one in series:
        batch.append(one)
        if len(batch) == most or sum(s.bytes for s in batch) >= _ROUND_BYTES:
            yield batch
            batch = []
    if batch:
        yield batch


def _instrument_ids(warehouse: DatabaseManager, staging: Staging, cursor: Cursor) -> InstrumentIds:
    """Bring the names into the warehouse; a continuous series is an instrument of its own."""
    ids: InstrumentIds = {}
    for continuous in (False, True):
        names = instrument_names(cursor, continuous=continuous)
        synced = warehouse.sync_instruments(staging.staging_id, names) if names else {}
        ids |= {(key, continuous): instrument_id for key, instrument_id in synced.items()}
    return ids


def _unloaded(
    cursor: Cursor,
    warehouse: DatabaseManager,
    staging_id: str,
    again: bool = False,
    as_of: datetime | None = None,
) -> list[StagedSeries]:
    loaded = warehouse.ledger_reply_ids("" if again else staging_id)
    return select_staged_series(cursor, {"reply_id": loaded}, as_of)


__all__ = [
    "apply_schema",
    "doctor",
    "fetch",
    "import_historic_data_from_kite",
    "load",
    "plan_fetch",
    "process_instrument",
    "replay",
    "run",
    "status",
    "take_instruments",
    "verify",
]
