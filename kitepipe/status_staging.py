"""What is staged: read from the open staging file."""

from datetime import UTC, date, datetime
from typing import Any

from kitepipe.model import IST
from kitepipe.sql import load
from kitepipe.staging import Cursor, Staging
from kitepipe.staging_instruments import dump_date, listed_keys, newest_snapshots
from kitepipe.summary import Failure, IntervalStatus, StatusReport


def select_staged(staging: Staging, cursor: Cursor) -> StatusReport:
    """Return what the file holds."""
    taken = max((one.taken_at for one in newest_snapshots(cursor).values()), default=None)
    return StatusReport(
        staging=str(staging.path),
        staging_id=staging.staging_id,
        file_bytes=staging.file_bytes(),
        instruments=len(listed_keys(cursor)),
        snapshot=dump_date(taken).isoformat() if taken else "",
        intervals=[IntervalStatus(*row) for row in _rows(cursor, "staging_select_intervals")],
        rebased=[rebased_text(*row) for row in _rows(cursor, "staging_select_rebased")],
        failures=[
            Failure(f"{exchange}:{symbol} {interval} {first}..{last}", error)
            for exchange, symbol, interval, first, last, error, *_ in _rows(
                cursor, "staging_select_failures"
            )
        ],
    )


def rebased_text(
    exchange: str, symbol: str, interval: str, ratio: float, session: date, epoch: datetime
) -> str:
    """Say what was re-based, by what ratio and when."""
    at = epoch if epoch.tzinfo else epoch.replace(tzinfo=UTC)  # DuckDB gives UTC without saying so
    when = f"{at.astimezone(IST):%Y-%m-%d %H:%M} IST"
    return f"{exchange}:{symbol} {interval} by {ratio:.6g} on {when}, seen on {session}"


def _rows(cursor: Cursor, statement: str) -> list[tuple[Any, ...]]:
    return cursor.execute(load(statement)).fetchall()
