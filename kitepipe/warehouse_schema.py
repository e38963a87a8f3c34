"""The schema and the server under it: apply, check, tell the edition, make hypertable chunks.

`schema/timescale.sql` is the one text of the schema; psql can apply it alone.
"""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Literal

from psycopg2 import extensions

from kitepipe import sql
from kitepipe.config_links import is_loopback
from kitepipe.errors import SchemaMissing, UsageError, WarehouseError
from kitepipe.model import IST
from kitepipe.warehouse_errors import ADVICE_SCHEMA

Edition = Literal["timescale", "apache", "plain"]

SCHEMA_VERSION = 1
_OLDEST_POSTGRESQL = 140000  # coverage is read as multiranges, which are of version 14
_SCHEMA_LOCK = 0x6B70_5C4E
_TABLES = (
    "kite_setup",
    "kite_instruments",
    "kite_instrument_names",
    "kite_dumps",
    "kite_ohlcv_historic",
    "kite_series",
    "kite_load_ledger",
    "kite_quarantine",
    "kite_rebases",
    "kite_ohlcv",
)
_DAY = timedelta(days=1)


def schema_text() -> str:
    """Return schema/timescale.sql: among the SQL where installed, beside the package in source."""
    try:
        return sql.load("timescale")
    except FileNotFoundError:
        beside = Path(__file__).resolve().parent.parent / "schema" / "timescale.sql"
        return beside.read_text(encoding="utf-8")


def apply(connection: extensions.connection, columnstore: bool) -> tuple[Edition, str, bool]:
    """Apply the schema; return (edition, server, whether the tables were made now)."""
    with connection, connection.cursor() as cursor:
        _refuse_old_server(cursor)
        cursor.execute("select pg_advisory_xact_lock(%s)", (_SCHEMA_LOCK,))
        missing = _missing(cursor)
        if "kite_setup" not in missing:
            _check_version(cursor)
        cursor.execute(schema_text())
        _check_columns(cursor)
    found, server = edition(connection)
    if columnstore:
        _add_columnstore(connection, found, server)
    return found, server, bool(missing)


def check(connection: extensions.connection) -> None:
    """Raise SchemaMissing, naming what is missing, where the tables are not this version's."""
    with connection.cursor() as cursor:
        if missing := _missing(cursor):
            raise SchemaMissing(f"warehouse: {', '.join(missing)} missing; {ADVICE_SCHEMA}")
        _check_version(cursor)
        _check_columns(cursor)


def edition(connection: extensions.connection) -> tuple[Edition, str]:
    """Return the edition and the server in words; an ordinary table is the plain edition."""
    with connection.cursor() as cursor:
        cursor.execute(sql.load("warehouse_select_edition"))
        postgresql, _number, timescaledb, license_name, available, has_table = _one(cursor)
        server = f"PostgreSQL {postgresql}"
        if not timescaledb:
            return "plain", server + (", TimescaleDB not created" if available else "")
        server = f"{server}, TimescaleDB {timescaledb} ({license_name})"
        if has_table and _hypertable(cursor) is None:
            return "plain", f"{server}, candles in an ordinary table"
    return "timescale" if license_name == "timescale" else "apache", server


def check_source(source: str | None, api_root: str) -> None:
    """Raise UsageError where candles come from elsewhere than those of `api_root`."""
    if source not in (None, asked := _source(api_root)):
        raise UsageError(
            f"this database holds candles of {source}, and these are of {asked}: name another in "
            "KITEPIPE_DSN, they must not be mixed"
        )


def _source(api_root: str) -> str:
    return "a sandbox on this machine" if is_loopback(api_root) else api_root


def claim(connection: extensions.connection, api_root: str, moment: datetime | None) -> None:
    """Note in the setup row whose candles they are, and of when: all of it or as of `moment`."""
    with connection, connection.cursor() as cursor:
        cursor.execute(sql.load("warehouse_lock_setup"))
        before, source, empty = _one(cursor)
        if not empty:
            check_source(source, api_root)
        if not empty and before and (moment is None or moment < before):
            raise UsageError(
                f"this database was filled as of {before.isoformat()}: use `kitepipe replay "
                "--as-of` with that instant or a later one, or another database"
            )
        if not empty and moment and not before:
            raise UsageError("--as-of needs a database that is empty, or was filled so")
        parameters = {"source": _source(api_root), "as_of": moment}
        cursor.execute(sql.load("warehouse_update_setup"), parameters)


def make_chunks(connection: extensions.connection, first: date, last: date) -> int:
    """Make missing hypertable chunks over whole IST dates, each in a transaction of its own."""
    begin, end, made = _midnight(first), _midnight(last + _DAY), 0
    with connection.cursor() as cursor:
        if (table := _hypertable(cursor)) is None:
            return 0
        step = _chunk_interval(cursor, table)
        while missing := _without_chunk(_chunk_ranges(cursor, table, begin, end), begin, end, step):
            for moment in missing:
                _make_chunk(connection, moment)
            made += len(missing)
    return made


def _without_chunk(
    ranges: Sequence[tuple[datetime, datetime]], begin: datetime, end: datetime, step: timedelta
) -> list[datetime]:
    """Return instants that no chunk covers: one for each that is to be made, as far as is known.

    A new one is as long as `step`, or less where others were longer or shorter before. To look
    after each that is made took 0.1 s for five years.
    """
    missing, moment = [], begin
    for start, stop in [*ranges, (end, end)]:
        while moment < start:
            missing.append(moment)
            moment += step
        moment = max(moment, stop)
    return missing


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), IST).astimezone(UTC)


def _chunk_ranges(
    cursor: extensions.cursor, table: tuple[str, str], first: datetime, last: datetime
) -> list[tuple[datetime, datetime]]:
    parameters = {"schema": table[0], "table": table[1], "first": first, "last": last}
    cursor.execute(sql.load("warehouse_select_chunk_ranges"), parameters)
    return [(row[0], row[1]) for row in cursor.fetchall()]


def _chunk_interval(cursor: extensions.cursor, table: tuple[str, str]) -> timedelta:
    parameters = {"schema": table[0], "table": table[1]}
    cursor.execute(sql.load("warehouse_select_chunk_interval"), parameters)
    (interval,) = _one(cursor)
    assert isinstance(interval, timedelta)
    return interval


def _make_chunk(connection: extensions.connection, moment: datetime) -> None:
    with connection, connection.cursor() as cursor:
        cursor.execute(sql.load("warehouse_insert_placeholder"), {"instant": moment})
        cursor.execute(sql.load("warehouse_delete_placeholder"), {"instant": moment})


def _add_columnstore(connection: extensions.connection, found: Edition, server: str) -> None:
    if found != "timescale":
        raise UsageError(
            f"columnstore: {server} has none; it takes a hypertable under TimescaleDB's own "
            "licence (the schema without it is applied)"
        )
    with connection.cursor() as cursor:
        cursor.execute(sql.load("warehouse_enable_columnstore"))
        cursor.execute(sql.load("warehouse_add_columnstore_policy"))


def _refuse_old_server(cursor: extensions.cursor) -> None:
    cursor.execute(sql.load("warehouse_select_edition"))
    postgresql, number, *_rest = _one(cursor)
    if number < _OLDEST_POSTGRESQL:
        raise WarehouseError(f"warehouse: PostgreSQL {postgresql}: 14 or newer is needed")


def _missing(cursor: extensions.cursor) -> list[str]:
    cursor.execute(sql.load("warehouse_select_missing"), {"names": list(_TABLES)})
    return [row[0] for row in cursor.fetchall()]


def _check_version(cursor: extensions.cursor) -> None:
    cursor.execute(sql.load("warehouse_select_setup"))
    version = (cursor.fetchone() or (0,))[0]
    if version > SCHEMA_VERSION:
        raise SchemaMissing(
            f"warehouse: its schema is version {version}, newer than this kitepipe's "
            f"{SCHEMA_VERSION}; install a newer kitepipe"
        )
    if version < SCHEMA_VERSION:
        raise SchemaMissing(f"warehouse: its schema is version {version}; {ADVICE_SCHEMA}")


def _check_columns(cursor: extensions.cursor) -> None:
    """Raise SchemaMissing where a table is of an earlier shape: applying the schema adds none."""
    tables, columns = zip(*_columns(), strict=True)
    parameters = {"tables": list(tables), "columns": list(columns)}
    cursor.execute(sql.load("warehouse_select_missing_columns"), parameters)
    if missing := [row[0] for row in cursor.fetchall()]:
        raise SchemaMissing(
            f"warehouse: {', '.join(missing)} missing: its tables are of an earlier kitepipe; "
            "`kitepipe replay` into a new database fills it from staging"
        )


@cache
def _columns() -> list[tuple[str, str]]:
    """Return (table, column) of every table, as the schema's text has them."""
    tables = re.findall(
        r"^create table if not exists (\w+) \((.*?)^\);", schema_text(), re.M | re.S
    )
    return [
        (table, column)
        for table, body in tables
        for column in re.findall(r"^    (?!primary key)(\w+) ", body, re.M)
    ]


def _hypertable(cursor: extensions.cursor) -> tuple[str, str] | None:
    """Return the schema and the name of the candles' table; None where it is an ordinary one."""
    cursor.execute(sql.load("warehouse_select_extension"))
    if not cursor.rowcount:  # TimescaleDB's views are not there either
        return None
    cursor.execute(sql.load("warehouse_select_hypertable"))
    row = cursor.fetchone()
    return (row[0], row[1]) if row else None


def _one(cursor: extensions.cursor) -> tuple[Any, ...]:
    row = cursor.fetchone()
    assert row is not None  # these statements always give a row
    return row
