"""The warehouse's door for errors: psycopg2's become ours here, once, by class and SQLSTATE.

No message holds a password, not even where the server or libpq would repeat it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
from psycopg2 import errorcodes, extensions
from psycopg2.extensions import parse_dsn

from kitepipe.errors import (
    Collision,
    ConnectionLost,
    SchemaMissing,
    SeriesRefused,
    UsageError,
    WarehouseError,
)

ADVICE_SCHEMA = "run `kitepipe schema`"
_ADVICE_CONNECT = (
    "see that the server runs and that KITEPIPE_DSN (or ~/.pgpass) names the right host, "
    "database and user"
)
_MISSING = {errorcodes.UNDEFINED_TABLE, errorcodes.UNDEFINED_COLUMN, errorcodes.UNDEFINED_OBJECT}
# The server went away under us: class 08 and the three ways of being shut down.
_LOST = {errorcodes.ADMIN_SHUTDOWN, errorcodes.CRASH_SHUTDOWN, errorcodes.CANNOT_CONNECT_NOW}
# The whole server is in trouble, not one series: class 53 (disk full, out of memory, too many
# connections), and a standby or a database that takes no writes.
_EVERYBODYS = "53"
# Another transaction was in the way; from the start it will come through.
_AGAIN = {
    errorcodes.UNIQUE_VIOLATION,
    errorcodes.DEADLOCK_DETECTED,
    errorcodes.SERIALIZATION_FAILURE,
}


def read_dsn(dsn: str) -> dict[str, str]:
    """Split a DSN into libpq's keywords; UsageError, without its text, where it is none."""
    try:
        return dict(parse_dsn(dsn))
    except psycopg2.ProgrammingError:
        # libpq repeats the part that it cannot read, which may be the password: nothing of it
        # may reach a traceback, so the cause is dropped too.
        raise UsageError(
            "dsn: not a connection string; write `host=... dbname=... user=...` "
            "or postgresql://user@host/dbname"
        ) from None


def place(parts: dict[str, str]) -> str:
    """Name the database that a DSN points to, without user and password."""
    host = parts.get("host") or parts.get("hostaddr") or parts.get("service") or "local socket"
    port = f":{parts['port']}" if "port" in parts else ""
    return f"{host}{port}/{parts.get('dbname', parts.get('user', ''))}"


@contextmanager
def connecting(parts: dict[str, str]) -> Iterator[None]:
    """Turn a failure to connect into a WarehouseError that says where and what to do."""
    try:
        yield
    except psycopg2.Error as error:
        said = _first_line(error)
        for secret in (parts.get("password"), parts.get("sslpassword")):
            said = said.replace(secret, "***") if secret else said
        message = f"warehouse {place(parts)}: {said}; {_ADVICE_CONNECT}"
        raise WarehouseError(message) from None


@contextmanager
def translated(
    connection: extensions.connection, what: str, refused: type[WarehouseError] = WarehouseError
) -> Iterator[None]:
    """Turn psycopg2's errors into ours; `refused` is for the server's own reasons."""
    try:
        yield
    except psycopg2.Error as error:
        raise _kind(error, connection, refused)(_message(error, what)) from error


def _kind(
    error: psycopg2.Error, connection: extensions.connection, refused: type[WarehouseError]
) -> type[WarehouseError]:
    code = error.pgcode or ""
    if connection.closed or code.startswith("08") or code in _LOST:
        return ConnectionLost
    if code in _MISSING:
        return SchemaMissing
    if code in _AGAIN and refused is SeriesRefused:
        return Collision
    if code.startswith(_EVERYBODYS) or code == errorcodes.READ_ONLY_SQL_TRANSACTION:
        return WarehouseError
    return refused


def _message(error: psycopg2.Error, what: str) -> str:
    advice = f"; {ADVICE_SCHEMA}" if error.pgcode in _MISSING else ""
    return f"warehouse: {what}: {_first_line(error)}{advice}"


def _first_line(error: psycopg2.Error) -> str:
    """Return the message alone: detail lines repeat rows, which do not belong in a log."""
    said = error.diag.message_primary or str(error)
    return " ".join(said.split("\n")[0].split()) or type(error).__name__
