"""`load` and `replay`: staged replies to the warehouse; who waits for the file goes first."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import datetime
from functools import partial

from kitepipe.config import Settings
from kitepipe.doors import warehouse_dsn
from kitepipe.errors import StagingError, WarehouseError
from kitepipe.holder import is_awaited, reading
from kitepipe.load import InstrumentIds, Loader, LoadOptions
from kitepipe.progress import Progress
from kitepipe.staging import Cursor, Staging
from kitepipe.staging_instruments import continuous_names, instrument_names, select_dumps
from kitepipe.staging_series import StagedSeries, select_staged_series
from kitepipe.summary import LoadReport
from kitepipe.warehouse import DatabaseManager


def load(settings: Settings, progress: Progress, *, wait: bool = False) -> LoadReport:
    """Stage 2: load the staged replies that the warehouse does not know. Does not need Kite."""
    return load_staged(settings, progress, wait=wait)


def replay(
    settings: Settings, progress: Progress, *, as_of: datetime | None = None, wait: bool = False
) -> LoadReport:
    """Load every staged reply anew; with `as_of`, what had been fetched by that instant."""
    return load_staged(settings, progress, wait=wait, again=True, as_of=as_of)


def load_staged(
    settings: Settings,
    progress: Progress,
    *,
    wait: bool,
    again: bool = False,
    as_of: datetime | None = None,
) -> LoadReport:
    """Load the replies that the ledger does not know, or all with `again`; up to `as_of`.

    Who waits for the file goes before the next series, and this load, begun as it is, after that.
    An error on the way carries the report of what was loaded until then.
    """
    open_file = partial(reading, settings.staging, archive=settings.archive)
    with warehouse_dsn(settings) as dsn, ExitStack() as opened:
        with DatabaseManager(dsn) as warehouse:
            warehouse.check_schema()
            staging = opened.enter_context(open_file(wait=wait))
            warehouse.claim(staging.api_root, as_of)
            with staging.cursor() as cursor:
                pending = unloaded(cursor, warehouse, staging.staging_id, again, as_of)
                ids = instrument_ids(warehouse, staging, cursor, pending)
        options = LoadOptions(dsn, settings.load_workers, again, as_of)
        gives_way = partial(is_awaited, settings.staging)
        reports: list[LoadReport] = []
        try:
            with progress.meter("replay" if again else "load", len(pending), "series") as meter:
                while pending:
                    with Loader(staging, options, meter, gives_way) as loader:
                        loader.submit(pending, ids)
                        try:
                            loader.wait()
                        finally:
                            reports.append(loader.report())
                    if pending := loader.left:
                        opened.close()
                        staging = opened.enter_context(_the_same(staging, open_file(wait=True)))
        except (StagingError, WarehouseError) as error:
            error.report = LoadReport.sum(reports)
            raise
        return LoadReport.sum(reports)


@contextmanager
def _the_same(before: Staging, file: AbstractContextManager[Staging]) -> Iterator[Staging]:
    """Open a file again; StagingError where another has its place, with keys of its own."""
    with file as staging:
        if staging.staging_id != before.staging_id:
            raise StagingError(
                f"staging {staging.path}: it was replaced while others had it; the rest of the "
                "old file is not loaded: run the same command again for the new one"
            )
        yield staging


def instrument_ids(
    warehouse: DatabaseManager,
    staging: Staging,
    cursor: Cursor,
    series: Sequence[StagedSeries],
    others: Collection[int] = (),
    futures: Sequence[int] = (),
) -> InstrumentIds:
    """Return the ids of these series' instruments, and bring the newest dumps into the warehouse.

    Where it has those, only names that are needed go there: all, 100,000, take 3.6 s. `others` are
    the keys of instruments that are about to be asked, `futures` those of continuous series, each
    of which is an instrument of its own.
    """
    keys = {one.key[0] for one in series if not one.key[2]}.union(others)
    dumps = select_dumps(cursor)
    is_known = warehouse.synced_dumps(staging.staging_id) == dumps
    ids: InstrumentIds = {}
    if keys or not is_known:
        names = instrument_names(cursor, keys if is_known else None)
        told = "" if is_known else dumps
        synced = warehouse.sync_instruments(staging.staging_id, names, told, keys)
        ids |= {(key, False): instrument_id for key, instrument_id in synced.items()}
    if stitched := continuous_names(cursor, futures):
        synced = warehouse.sync_instruments(staging.staging_id, stitched)
        ids |= {(key, True): instrument_id for key, instrument_id in synced.items()}
    return ids


def unloaded(
    cursor: Cursor,
    warehouse: DatabaseManager,
    staging_id: str,
    again: bool = False,
    as_of: datetime | None = None,
) -> list[StagedSeries]:
    """Return the series with replies that the ledger does not know; with `again` all series."""
    loaded = warehouse.ledger_reply_ids("" if again else staging_id)
    return select_staged_series(cursor, {"reply_id": loaded}, as_of)
