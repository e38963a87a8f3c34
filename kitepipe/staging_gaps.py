"""What staged replies lack: sessions are taken from the data, and what is missing is told apart.

All of it is SQL over the dates that each reply has, and no database is asked. Bodies are read of
short sessions only, to name the times that they lack.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from kitepipe.model import Gap, GapKind, Window
from kitepipe.sessions import hour_changes
from kitepipe.sql import load
from kitepipe.staging import Cursor
from kitepipe.staging_gap_times import ShortSession
from kitepipe.staging_series import SeriesKey, side_by_side

# Replies on so many days that agree make a hole absent at source: Kite mends its history within
# a day or two where it mends it at all.
CONFIRMATIONS = 3
# Four weeks of sessions without a candle: faults of a feed last days, suspensions longer.
LONG_SESSIONS = 20
# Whether a series is seldom traded or suspended shows itself in the 60 sessions before, and more.
_CONTEXT = timedelta(days=200)

_ANY_HOLE = "select 1 from gap_candidate where not seldom limit 1"
_TABLES = ("reply", "series", "day", "session", "missing", "short", "candidate", "found")
# Dates of series that are searched for short sessions at once. The 11 M of 4,000 instruments' ten
# years then take 27 s within 64 MB of DuckDB's memory, and the 1.6 M of 36,500 replies 1.5 s.
_DATES_AT_ONCE = 250_000


@dataclass(frozen=True, slots=True)
class StagedGap:
    """A gap of a series; `asked` is the IST date of the last reply that confirmed it."""

    key: SeriesKey
    window: Window
    asked: date | None
    gap: Gap
    short: ShortSession | None = None


@dataclass(frozen=True, slots=True)
class FailedWindow:
    """A window that was asked in vain and has not been answered since."""

    key: SeriesKey
    name: str
    window: Window
    error: str


def find_gaps(cursor: Cursor) -> list[StagedGap]:
    """Return the gaps of all series, by name and date.

    Windows that failed or were never asked are not among them: see `failed_windows`.
    """
    return _search(cursor, None, None, holes_alone=False)


def find_holes(
    cursor: Cursor, keys: Sequence[SeriesKey], since: date | None = None
) -> list[StagedGap]:
    """Return the holes alone of these series, from a date on: sooner done where there is none."""
    found = _search(cursor, keys, since, holes_alone=True)
    return [one for one in found if one.gap.kind is GapKind.HOLE]


def _search(
    cursor: Cursor, keys: Sequence[SeriesKey] | None, since: date | None, *, holes_alone: bool
) -> list[StagedGap]:
    """Return the gaps; with `holes_alone` those of other kinds may be left out."""
    parameters: dict[str, dict[str, object]] = {
        "series": dict.fromkeys(side_by_side([])) if keys is None else side_by_side(keys),
        "day": {"since": since - _CONTEXT if since else None},
    }
    rows = _rows(cursor, parameters, holes_alone)
    for table in _TABLES:  # they take memory that a load may need
        cursor.execute(f"drop table if exists temp.gap_{table}")
    return [_gap(row) for row in rows if since is None or row[7] >= since]


def _rows(
    cursor: Cursor, parameters: dict[str, dict[str, object]], holes_alone: bool
) -> list[tuple[Any, ...]]:
    for table in _TABLES:
        cursor.execute(load(f"staging_create_gap_{table}"), parameters.get(table, {}))
        if table == "short":
            _find_short(cursor)
        if table == "candidate" and holes_alone and not cursor.execute(_ANY_HOLE).fetchall():
            return []  # what would follow takes a third of the time, for nothing
    return cursor.execute(
        load("staging_select_gaps"), {"confirmations": CONFIRMATIONS, "long": LONG_SESSIONS}
    ).fetchall()


def _find_short(cursor: Cursor) -> None:
    """Fill the temp table gap_short, span by span."""
    exchanges, changes = zip(*hour_changes(), strict=True)
    hours = {"exchanges": list(exchanges), "changes": list(changes)}
    spans = cursor.execute(load("staging_select_gap_spans"), {"at_once": _DATES_AT_ONCE}).fetchall()
    for first, last in spans:
        cursor.execute(load("staging_insert_gap_short"), hours | {"first": first, "last": last})


def failed_windows(cursor: Cursor) -> list[FailedWindow]:
    """Return the windows that were asked in vain and have not been answered since, newest first."""
    rows = cursor.execute(load("staging_select_failures")).fetchall()
    return [
        FailedWindow(
            (key, interval, continuous),
            _name(exchange, symbol, interval, continuous),
            Window(first, last),
            error,
        )
        for exchange, symbol, interval, first, last, error, key, continuous in rows
    ]


def series_names(cursor: Cursor) -> dict[SeriesKey, str]:
    """Return what each staged series is called now."""
    rows = cursor.execute(load("staging_select_series_names")).fetchall()
    return {
        (key, interval, continuous): _name(exchange, symbol, interval, continuous)
        for key, interval, continuous, exchange, symbol in rows
    }


def _name(exchange: str, symbol: str, interval: str, continuous: bool) -> str:
    return f"{exchange}:{symbol} {interval}{' continuous' if continuous else ''}"


def _gap(row: tuple[Any, ...]) -> StagedGap:
    key, interval, continuous, exchange, symbol, kind, first, last, *rest = row
    sessions, confirmed, asked, hollow, reply_id, *whole = rest
    name = _name(exchange, symbol, interval, continuous)
    gap = Gap(name, GapKind(kind), first, last, sessions, confirmed)
    staged = StagedGap((key, interval, continuous), Window(first, last), asked, gap)
    if reply_id is None:
        return replace(staged, gap=replace(gap, why=_why(kind, hollow)))
    like_reply, like_exchange, like_symbol, like_date = whole
    short = ShortSession(reply_id, first, like_reply, like_date)
    like = f"{like_exchange}:{like_symbol} {like_date}"
    why = "fewer candles than in its other sessions"
    return replace(staged, gap=replace(gap, why=why, like=like), short=short)


def _why(kind: str, hollow: bool) -> str:
    if kind not in (GapKind.HOLE, GapKind.ABSENT):
        return ""
    return "the whole reply was empty" if hollow else "no candle"
