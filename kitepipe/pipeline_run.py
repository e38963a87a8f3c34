"""`run`: fetch and load side by side; neither's end is the other's."""

import logging
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType

from kitepipe.config import Settings
from kitepipe.doors import warehouse_dsn
from kitepipe.errors import (
    AllInstrumentsFailed,
    AuthenticationError,
    KitepipeError,
    KiteUnreachable,
    WarehouseError,
)
from kitepipe.fetch_queue import Job
from kitepipe.load import InstrumentIds, Loader, LoadOptions
from kitepipe.pipeline_load import instrument_ids, load_staged, unloaded
from kitepipe.plan import Bounds
from kitepipe.prepare import Clock, Fetching, fetching
from kitepipe.progress import Progress
from kitepipe.staging_instruments import listed_keys
from kitepipe.staging_series import SeriesKey
from kitepipe.summary import FetchReport, LoadReport, RunReport
from kitepipe.warehouse import DatabaseManager

log = logging.getLogger(__name__)

_KITES = (AuthenticationError, KiteUnreachable, AllInstrumentsFailed)


def fetch_and_load(
    settings: Settings, bounds: Bounds, progress: Progress, clock: Clock
) -> RunReport:
    """Fetch and load at the same time; the error that ends either is raised at the end.

    Where Kite ends the fetch, what is staged is loaded all the same; where the warehouse is down,
    fetching goes on. The error carries the report.
    """
    with warehouse_dsn(settings) as dsn:
        settings = replace(settings, dsn=dsn)
        try:
            with fetching(settings, bounds, "run", clock, progress) as ready:
                return _run(ready, settings, progress)
        except (AuthenticationError, KiteUnreachable) as error:
            if error.report is None and settings.staging.exists():  # before anything was asked
                error.report = _load_alone(settings, bounds, progress)
            raise


def _run(ready: Fetching, settings: Settings, progress: Progress) -> RunReport:
    with _Loading(ready, settings, progress) as loading:
        fetched, error = _fetch(ready, progress, loading.submit)
        for job in ready.begun():
            loading.submit(job)  # what an early end left behind
        report = RunReport(fetch=fetched, load=loading.finish())
    if error := error or loading.error:
        error.report = report
        raise error
    return report


def _fetch(
    ready: Fetching, progress: Progress, on_done: Callable[[Job], None]
) -> tuple[FetchReport, KitepipeError | None]:
    try:
        return ready.go(progress, on_done), None
    except _KITES as error:
        report = error.report
        return report if isinstance(report, FetchReport) else FetchReport(), error


def _load_alone(settings: Settings, bounds: Bounds, progress: Progress) -> RunReport:
    try:
        return RunReport(load=load_staged(settings, progress, wait=bounds.wait))
    except KitepipeError as error:  # Kite's end is the first thing to mend
        log.error("%s", error)
        return RunReport()


class _Loading:
    """The loading half of a run: it begins with what was staged before.

    A warehouse that goes away ends it, and nothing else; `error` is then set.
    """

    def __init__(self, ready: Fetching, settings: Settings, progress: Progress) -> None:
        self._staging, self._settings, self._progress = ready.staging, settings, progress
        self._futures = ready.agenda.futures
        self._loader: Loader | None = None
        self._ids: InstrumentIds = {}
        self._submitted: set[SeriesKey] = set()
        self._stack = ExitStack()
        self.error: WarehouseError | None = None

    def __enter__(self) -> "_Loading":
        try:
            with ExitStack() as stack:
                self._loader = self._open(stack)
                self._stack = stack.pop_all()
        except WarehouseError as error:
            log.error("%s; nothing is loaded, fetching goes on", error)
            self.error = error
        self._staging.is_shared = self._loader is not None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def submit(self, job: Job) -> None:
        """Load what this run has staged of a series, once."""
        if self._loader is None or job.staged is None or job.staged.key in self._submitted:
            return
        self._submitted.add(job.staged.key)
        self._meter.grow(1)
        self._loader.submit([job.staged], self._ids)

    def finish(self) -> LoadReport:
        """Wait until all is loaded, and return what was."""
        if self._loader is None:
            return LoadReport()
        try:
            self._loader.wait()
        except WarehouseError as error:
            self.error = error
        return self._loader.report()

    def _open(self, stack: ExitStack) -> Loader:
        dsn = self._settings.dsn
        assert dsn is not None  # warehouse_dsn gave it
        with DatabaseManager(dsn) as warehouse, self._staging.cursor() as cursor:
            warehouse.check_schema()
            warehouse.claim(self._staging.api_root)
            pending = unloaded(cursor, warehouse, self._staging.staging_id)
            self._ids = instrument_ids(
                warehouse, self._staging, cursor, pending, listed_keys(cursor), self._futures
            )
        self._meter = stack.enter_context(self._progress.meter("load", len(pending), "series"))
        options = LoadOptions(dsn, self._settings.load_workers)
        loader = stack.enter_context(Loader(self._staging, options, self._meter))
        loader.submit(pending, self._ids)
        return loader
