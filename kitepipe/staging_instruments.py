"""Kite's instruments dumps in staging: as changes from one to the next, under keys that last.

A key outlives tokens and symbols; the rule that gives it stands in staging_match_instruments.sql.
"""

import hashlib
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb

from kitepipe.errors import StagingError, UsageError
from kitepipe.filters import InstrumentFilter, is_pattern
from kitepipe.model import IST, STEERING, Instrument
from kitepipe.sql import load
from kitepipe.staging import Staging, as_utc, naive, transaction
from kitepipe.staging_errors import translated
from kitepipe.summary import SnapshotReport

# Kite makes the dump once a day about 08:30 IST.
_DUMP_TIME = timedelta(hours=8, minutes=30)
_NAMES = 20_000  # in memory at a time
_COLUMNS = (
    *("instrument_token", "exchange_token", "tradingsymbol", "name", "last_price", "expiry"),
    *("strike", "tick_size", "lot_size", "instrument_type", "segment", "exchange"),
)
_FIELD = rb'(?:[^",]*|"(?:[^"]|"")*")'
_ROW = re.compile(rb"%b(?:,%b)*" % (_FIELD, _FIELD))  # as RFC 4180 has it


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One dump that was taken; `exchange` is "" for the dump of all exchanges."""

    snapshot_id: int
    taken_at: datetime
    exchange: str


def dump_date(at: datetime) -> date:
    """Return the IST date of the dump that Kite serves at the instant `at`."""
    return (at.astimezone(IST) - _DUMP_TIME).date()


def newest_snapshots(cursor: duckdb.DuckDBPyConnection) -> dict[str, Snapshot]:
    """Return the newest snapshot of each scope, by exchange ("" is all exchanges)."""
    rows = cursor.execute(load("staging_select_snapshots")).fetchall()
    return {row[2]: Snapshot(row[0], as_utc(row[1]), row[2]) for row in rows}  # type: ignore[arg-type]


def stale_exchanges(
    cursor: duckdb.DuckDBPyConnection, exchanges: Iterable[str], now: datetime
) -> list[str]:
    """Return which of `exchanges` ("" is all) have no dump since 08:30 IST."""
    taken = newest_snapshots(cursor)
    fresh = {e for e, snapshot in taken.items() if dump_date(snapshot.taken_at) >= dump_date(now)}
    return [] if "" in fresh else [e for e in exchanges if e not in fresh]


def take_snapshot(
    staging: Staging, dump: bytes, exchange: str, taken_at: datetime
) -> SnapshotReport:
    """Compare a dump (CSV bytes) with what is known, keep the changes, and count them.

    Rows that cannot be an instrument are kept in `instrument_quarantine`; StagingError where the
    dump has not Kite's columns, or no instrument at all: else all that is listed would be gone.
    """
    header, _, rows = dump.partition(b"\n")
    columns = _columns(header, exchange)
    sound, odd = _by_line(rows)
    with staging.cursor() as cursor, tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "instruments.csv"
        file.write_bytes(sound)
        with translated(staging.path), transaction(cursor):
            cursor.execute(load("staging_read_dump"), {"path": str(file), "columns": columns})
            cursor.execute(load("staging_judge_dump"), {"odd": odd, "steering": f"[{STEERING}]"})
            [(snapshot_id,)] = cursor.execute(
                load("staging_insert_snapshot"),
                {
                    "taken_at": naive(taken_at),
                    "exchange": exchange,
                    "sha256": hashlib.sha256(dump).hexdigest(),
                },
            ).fetchall()
            return _keep_changes(cursor, snapshot_id, exchange)


def _columns(header: bytes, exchange: str) -> dict[str, str]:
    """Return the columns of a dump as DuckDB wants them; any order, and others beside, will do."""
    text = header.decode("utf-8-sig", "replace").strip()
    names = text.split(",")
    if any(names.count(name) != 1 for name in _COLUMNS):
        raise _unusable(exchange, f"it begins with {text[:60]!r}, not with Kite's columns")
    return dict.fromkeys(names, "varchar")


def _by_line(rows: bytes) -> tuple[bytes, list[str]]:
    """Return the lines that are rows by themselves, and the others.

    Kite writes each row on a line of its own. A quote that is left open would take along the rows
    after it, and at a carriage return amid others DuckDB gives the whole dump up.
    """
    sound: list[bytes] = []
    odd: list[str] = []
    for ended in rows.split(b"\n"):
        line = ended.removesuffix(b"\r")
        if b"\r" in line or (b'"' in line and not _ROW.fullmatch(line)):
            odd.append(line.decode("utf-8", "replace"))
        else:
            sound.append(line)
    return b"\n".join(sound), odd


def _unusable(exchange: str, why: str) -> StagingError:
    return StagingError(
        f"instruments dump of {exchange or 'all exchanges'}: {why}; nothing of it was taken, "
        "try again later"
    )


def _keep_changes(
    cursor: duckdb.DuckDBPyConnection, snapshot_id: int, exchange: str
) -> SnapshotReport:
    cursor.execute(load("staging_quarantine_instruments"), {"snapshot_id": snapshot_id})
    cursor.execute(load("staging_match_instruments"))
    cursor.execute(load("staging_insert_instruments"), {"snapshot_id": snapshot_id})
    cursor.execute(load("staging_insert_gone"), {"snapshot_id": snapshot_id, "exchange": exchange})
    counts = cursor.execute(load("staging_count_changes"), {"snapshot_id": snapshot_id}).fetchall()
    [(rows, listed, changed, gone, bad)] = counts
    if exchange and not rows and not gone:  # none was ever listed there
        raise UsageError(
            f"exchanges = {exchange}: Kite lists no instrument there; such as NSE, BSE, NFO or MCX"
        )
    if bad >= rows:
        raise _unusable(exchange, f"not one of its {rows} rows is an instrument")
    warnings = [f"{bad} rows of the dump are no instruments (instrument_quarantine)"] if bad else []
    return SnapshotReport(True, rows, listed, changed, gone, warnings=warnings)


def has_continuous(one: Instrument) -> bool:
    """Tell whether a continuous future stands for it, as the view continuous_future has it."""
    dated_future = one.instrument_type == "FUT" and one.expiry is not None
    return dated_future and one.exchange in ("NFO", "MCX") and one.name != ""


def unknown_symbols(
    cursor: duckdb.DuckDBPyConnection, symbols: Iterable[str]
) -> dict[str, str | None]:
    """Return which tradingsymbols (`INFY`, `NSE:INFY`; patterns are passed over) nobody lists.

    With each comes the listed one that was meant, perhaps: `NSE:INFY` for `INFI`.
    """
    plain = [s for s in symbols if not is_pattern(s)]
    statement = load("staging_select_unknown_symbols")
    return dict(cursor.execute(statement, {"symbols": plain}).fetchall())


def idle_patterns(cursor: duckdb.DuckDBPyConnection, symbols: Iterable[str]) -> list[str]:
    """Return the patterns among tradingsymbols (`NIFTY*`) that nothing listed has."""
    return [one for one in symbols if is_pattern(one) and not _is_met(cursor, one)]


def _is_met(cursor: duckdb.DuckDBPyConnection, pattern: str) -> bool:
    predicate, parameters = InstrumentFilter(tradingsymbols=(pattern,)).duckdb()
    query = load("staging_select_listed").format(predicate=predicate)
    return bool(cursor.execute(query, parameters).fetchall())


def instrument_names(
    cursor: duckdb.DuckDBPyConnection, keys: Set[int] | None = None, at_once: int = _NAMES
) -> Iterator[tuple[object, ...]]:
    """Yield names by period, as the warehouse wants them: of all instruments, or of `keys`.

    After years of contracts they are a million: about `at_once` are in memory.
    """
    if keys is not None and len(keys) <= at_once:
        found = iter([_names(cursor, "staging_names_of_keys", keys=list(keys))])
    else:
        [(count,)] = cursor.execute("select count(*) from instrument").fetchall()
        pages = 1 + count // at_once
        of = "staging_names_of_page"
        found = (_names(cursor, of, page=page, pages=pages) for page in range(pages))
    for rows in found:
        yield from (row for row in rows if keys is None or row[0] in keys)


def _names(
    cursor: duckdb.DuckDBPyConnection, meant: str, **parameters: object
) -> list[tuple[object, ...]]:
    statement = load("staging_select_names").format(meant=load(meant))
    return cursor.execute(statement, parameters).fetchall()


def listed_keys(cursor: duckdb.DuckDBPyConnection) -> set[int]:
    """Return the keys of the instruments that are listed now."""
    return {key for (key,) in cursor.execute(load("staging_select_listed_keys")).fetchall()}


def select_dumps(cursor: duckdb.DuckDBPyConnection) -> str:
    """Return one word for all dumps that were taken: names change with a dump only."""
    [(dumps,)] = cursor.execute(load("staging_select_dumps")).fetchall()
    return str(dumps)


def continuous_names(
    cursor: duckdb.DuckDBPyConnection, also: Sequence[int] = ()
) -> list[tuple[object, ...]]:
    """Return the names of continuous futures that were asked, and of those with the keys `also`."""
    parameters = {"also": list(also)}
    return cursor.execute(load("staging_select_continuous_names"), parameters).fetchall()
