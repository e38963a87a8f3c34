"""What is staged, what is loaded, who is at work: read, never written."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from kitepipe.config import Settings
from kitepipe.doors import warehouse_dsn
from kitepipe.errors import StagingBusy, UsageError, WarehouseError
from kitepipe.gaps import all_gaps
from kitepipe.holder import read_holder, reading
from kitepipe.lost import all_losses
from kitepipe.model import IST, utc_now
from kitepipe.sql import load
from kitepipe.staging import Cursor, Staging, as_utc
from kitepipe.staging_instruments import dump_date
from kitepipe.summary import Failure, IntervalStatus, Quarantined, StatusReport
from kitepipe.warehouse import DatabaseManager


def status(settings: Settings, *, quarantine: bool = False, gaps: bool = False) -> StatusReport:
    """Return what staging and, where a DSN is set, the warehouse hold.

    While another process writes the staging file, only that process is told of. A warehouse that
    cannot be reached is a warning: what is staged can be told without it. With `quarantine` it is
    an error, and so is a missing DSN. With `gaps` what staging lacks is told too.
    """
    report = _status(settings, gaps=gaps)
    return replace(report, quarantine=select_quarantine(settings)) if quarantine else report


def _status(settings: Settings, *, gaps: bool) -> StatusReport:
    path = settings.staging
    if not path.exists():
        missing = f"{path} is not there yet: nothing is staged"
        return StatusReport(staging=str(path), warnings=[missing])
    try:
        with reading(path, wait=False) as staging, staging.cursor() as cursor:
            today = utc_now().astimezone(IST).date()
            lost = [one.failure for one in all_losses(settings, today, cursor)]
            report = replace(_staged(staging, cursor), lost=lost)
            if gaps:
                report = replace(report, gaps=all_gaps(cursor))
    except StagingBusy as error:
        holder = read_holder(path)
        return StatusReport(
            staging=str(path),
            file_bytes=path.stat().st_size,
            holder=holder,
            warnings=[] if holder else [str(error)],
        )
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
        rebased=[_rebased(*row) for row in _rows(cursor, "staging_select_rebased")],
        failures=[
            Failure(f"{exchange}:{symbol} {interval} {first}..{last}", error)
            for exchange, symbol, interval, first, last, error, *_ in _rows(
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
            rebases = warehouse.rebases()
    except (WarehouseError, UsageError) as error:
        return replace(report, warnings=[*report.warnings, str(error)])
    staged = sum(interval.replies for interval in report.intervals)
    known = [_rebased(*r[:3], r.ratio, r.session, r.epoch) for r in rebases]
    waiting = [f"{text}, not loaded yet" for text in report.rebased if text not in known]
    return replace(
        report,
        rebased=known + waiting,
        unloaded=staged - loaded,
        warehouse_candles=totals.candles,
        quarantined=totals.quarantined,
    )


def _rebased(
    exchange: str, symbol: str, interval: str, ratio: float, session: date, epoch: datetime
) -> str:
    at = epoch if epoch.tzinfo else epoch.replace(tzinfo=UTC)  # DuckDB gives UTC without saying so
    when = f"{at.astimezone(IST):%Y-%m-%d %H:%M} IST"
    return f"{exchange}:{symbol} {interval} by {ratio:.6g} on {when}, seen on {session}"


def select_quarantine(settings: Settings) -> list[Quarantined]:
    """Return the candles that stand in the warehouse's quarantine, newest reply first.

    Raises UsageError without a DSN, WarehouseError where it cannot be reached.
    """
    with warehouse_dsn(settings) as dsn, DatabaseManager(dsn) as warehouse:
        warehouse.check_schema()
        return [Quarantined(*row) for row in warehouse.quarantine()]


def _rows(cursor: Cursor, statement: str) -> list[tuple[Any, ...]]:
    return cursor.execute(load(statement)).fetchall()
