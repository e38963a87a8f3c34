"""What a series' transaction notes beside its candles: the quarantine, and when it was re-based.

Each function runs inside the transaction of the cursor that it is given.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from psycopg2 import extensions
from psycopg2.extras import execute_values

from kitepipe import sql
from kitepipe.model import Window
from kitepipe.warehouse_rows import QuarantinedCandle, QuarantinedReply, storable


def quarantine(
    cursor: extensions.cursor,
    rows: Iterable[QuarantinedCandle],
    of: Sequence[tuple[str, int]],
) -> None:
    """Keep candles that broke a rule; replies in `of` keep no others than these."""
    clean = [row._replace(raw=storable(row.raw)) for row in rows]
    if of:
        _forget(cursor, of, clean)
    if clean:
        statement = sql.load("warehouse_insert_quarantine")
        execute_values(cursor, statement, clean, page_size=1000)


def _forget(
    cursor: extensions.cursor, replies: Sequence[tuple[str, int]], kept: list[QuarantinedCandle]
) -> None:
    parameters = {
        "staging_ids": [staging_id for staging_id, _ in replies],
        "reply_ids": [reply_id for _, reply_id in replies],
        "kept_staging_ids": [row.staging_id for row in kept],
        "kept_reply_ids": [row.reply_id for row in kept],
        "kept_positions": [row.position for row in kept],
        "kept_rules": [row.rule for row in kept],
    }
    cursor.execute(sql.load("warehouse_delete_quarantine"), parameters)


def quarantined(cursor: extensions.cursor, key: Mapping[str, Any]) -> list[QuarantinedReply]:
    """Return the replies of a series of which candles are in quarantine, in no order."""
    cursor.execute(sql.load("warehouse_select_quarantined_replies"), key)
    return [QuarantinedReply(*row) for row in cursor.fetchall()]


def heal(
    cursor: extensions.cursor,
    open_undated: Mapping[tuple[str, int], bool],
    windows: Mapping[tuple[str, int], Sequence[Window]],
) -> None:
    """Forget the candles of these replies on dates that they no longer decide (`windows`).

    Candles without a known date go where `open_undated` says so.
    """
    decided = [(*key, window) for key in open_undated for window in windows.get(key, ())]
    parameters = {
        "staging_ids": [staging_id for staging_id, _ in open_undated],
        "reply_ids": [reply_id for _, reply_id in open_undated],
        "open_undated": list(open_undated.values()),
        "window_staging_ids": [staging_id for staging_id, _, _ in decided],
        "window_reply_ids": [reply_id for _, reply_id, _ in decided],
        "window_firsts": [window.first for _, _, window in decided],
        "window_lasts": [window.last for _, _, window in decided],
    }
    cursor.execute(sql.load("warehouse_heal_quarantine"), parameters)


def note_rebases(
    cursor: extensions.cursor,
    key: Mapping[str, Any],
    rebases: Iterable[tuple[datetime, float, date]],
) -> None:
    """Note when a series was re-based: (epoch, ratio, session); known ones are not written."""
    rows = [(key["instrument_id"], key["interval"], *rebase) for rebase in rebases]
    if rows:
        execute_values(cursor, sql.load("warehouse_insert_rebases"), rows)
