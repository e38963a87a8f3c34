"""What is loaded: read from the warehouse, where one is named."""

from dataclasses import replace

from kitepipe.config import Settings
from kitepipe.doors import warehouse_dsn
from kitepipe.errors import StagingBusy, UsageError, WarehouseError
from kitepipe.holder import reading
from kitepipe.staging_series import select_staged_series
from kitepipe.status_staging import rebased_text
from kitepipe.summary import Quarantined, StatusReport
from kitepipe.warehouse import DatabaseManager

_OLDER = (
    "the database knows {} replies that are not in this file: it is an older copy of itself, or "
    "what a rescue could read"
)


def with_warehouse(settings: Settings, report: StatusReport) -> StatusReport:
    """Add what the warehouse holds to what is staged; one that is out of reach is a warning."""
    try:
        with warehouse_dsn(settings) as dsn, DatabaseManager(dsn) as warehouse:
            warehouse.check_schema()
            totals = warehouse.totals()
            loaded = warehouse.ledger_reply_ids(report.staging_id)
            rebases = warehouse.rebases()
    except (WarehouseError, UsageError) as error:
        return replace(report, warnings=[*report.warnings, str(error)])
    try:
        with reading(settings.staging, wait=False) as staging, staging.cursor() as cursor:
            pending = select_staged_series(cursor, {"reply_id": loaded}, None)
    except StagingBusy as error:  # a writer came in between
        unloaded, warnings = None, [str(error)]
    else:
        unloaded = sum(series.replies for series in pending)
        staged = sum(interval.replies for interval in report.intervals)
        older = len(loaded) - (staged - unloaded)
        warnings = [_OLDER.format(older)] if older > 0 else []
    told = {rebased_text(*r[:3], r.ratio, r.session, r.epoch): r.is_taken for r in rebases}
    known = [text for text, is_taken in told.items() if is_taken]
    seen = dict.fromkeys([*told, *report.rebased])
    waiting = [f"{text}, not loaded yet" for text in seen if text not in known]
    return replace(
        report,
        warnings=[*report.warnings, *warnings],
        rebased=known + waiting,
        unloaded=unloaded,
        warehouse_candles=totals.candles,
        quarantined=totals.quarantined,
    )


def select_quarantine(settings: Settings) -> list[Quarantined]:
    """Return the candles that stand in the warehouse's quarantine, newest reply first.

    Raises UsageError without a DSN, WarehouseError where it cannot be reached.
    """
    with warehouse_dsn(settings) as dsn, DatabaseManager(dsn) as warehouse:
        warehouse.check_schema()
        return [Quarantined(*row) for row in warehouse.quarantine()]
