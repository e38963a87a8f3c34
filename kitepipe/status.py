"""What is staged, what is loaded, who is at work: read, never written."""

from dataclasses import replace
from typing import Any

from kitepipe.config import Settings
from kitepipe.doors import warehouse_dsn
from kitepipe.errors import StagingBusy, UsageError, WarehouseError
from kitepipe.holder import read_holder, reading
from kitepipe.sql import load
from kitepipe.staging import Cursor, Staging, as_utc
from kitepipe.staging_instruments import dump_date
from kitepipe.summary import Failure, IntervalStatus, StatusReport
from kitepipe.warehouse import DatabaseManager


def status(settings: Settings) -> StatusReport:
    """Return what staging and, where a DSN is set, the warehouse hold.

    While another process writes the staging file, only that process is told of. A warehouse that
    cannot be reached is a warning: what is staged can be told without it.
    """
    path = settings.staging
    if not path.exists():
        missing = f"{path} is not there yet: nothing is staged"
        return StatusReport(staging=str(path), warnings=[missing])
    try:
        with reading(path, wait=False) as staging, staging.cursor() as cursor:
            report = _staged(staging, cursor)
    except StagingBusy as error:
        return StatusReport(staging=str(path), holder=read_holder(path), warnings=[str(error)])
    return _with_warehouse(settings, report) if settings.dsn else report


def _staged(staging: Staging, cursor: Cursor) -> StatusReport:
    instruments, taken_at = _rows(cursor, "staging_count_instruments")[0]
    taken = as_utc(taken_at)
    return StatusReport(
        staging=str(staging.path),
        staging_id=staging.staging_id,
        file_bytes=staging.file_bytes(),
        instruments=instruments,
        snapshot=dump_date(taken).isoformat() if taken else "",
        intervals=[IntervalStatus(*row) for row in _rows(cursor, "staging_select_intervals")],
        rebased=[
            f"{exchange}:{symbol} {interval} by {ratio:.6g}, seen on {session}"
            for exchange, symbol, interval, ratio, session in _rows(
                cursor, "staging_select_rebased"
            )
        ],
        failures=[
            Failure(f"{exchange}:{symbol} {interval} {first}..{last}", error)
            for exchange, symbol, interval, first, last, error in _rows(
                cursor, "staging_select_failures"
            )
        ],
    )


def _with_warehouse(settings: Settings, report: StatusReport) -> StatusReport:
    try:
        with warehouse_dsn(settings) as dsn, DatabaseManager(dsn) as warehouse:
            warehouse.check_schema()
            totals = warehouse.totals()
            loaded = len(warehouse.ledger_reply_ids(report.staging_id))
    except (WarehouseError, UsageError) as error:
        return replace(report, warnings=[*report.warnings, str(error)])
    staged = sum(interval.replies for interval in report.intervals)
    return replace(
        report,
        unloaded=staged - loaded,
        warehouse_candles=totals.candles,
        quarantined=totals.quarantined,
    )


def _rows(cursor: Cursor, statement: str) -> list[tuple[Any, ...]]:
    return cursor.execute(load(statement)).fetchall()
