"""A PostgreSQL server as the tests see it: a source of fresh databases, each gone after its use.

Whether the server was found, made or only visited is no matter here (tests/servers_find.py).
"""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import make_dsn, parse_dsn

Rows = list[tuple[Any, ...]]
Look = Callable[..., Rows]


class UnavailableError(Exception):
    """There is no such server to be had here; the text says why."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: `dsn` reaches its maintenance database as superuser.

    `timezone` becomes each database's own: neither UTC nor the machine's, so that code which
    leans on a session's zone is found out.
    """

    dsn: str
    timescale: bool
    timezone: str

    @contextmanager
    def template(self) -> Iterator["Template"]:
        """Make a database to copy from; TimescaleDB takes 0.5 s to create, a copy 0.03 s."""
        name = f"kitepipe_test_template_{token_hex(4)}"
        with looking(self.dsn) as look:
            _do(look, "create database {}", name)
        try:
            if self.timescale:
                with looking(make_dsn(self.dsn, dbname=name)) as inside:
                    inside("create extension if not exists timescaledb")
            yield self.closed(name)
        finally:
            self.drop(name)

    def closed(self, name: str) -> "Template":
        """Let nobody into a database any more, so that it can be copied.

        The extension's scheduler connects to every database that lets it, and a database with a
        connection cannot be copied.
        """
        with looking(self.dsn) as look:
            _do(look, "alter database {} allow_connections false", name)
            look(_TERMINATE, name)
        return Template(self, name)

    def drop(self, name: str) -> None:
        """Drop a database and whatever is still connected to it."""
        with looking(self.dsn) as look:
            _do(look, "drop database if exists {} with (force)", name)


@dataclass(frozen=True, slots=True)
class Template:
    """A database that others are copied from."""

    server: Server
    name: str

    @contextmanager
    def database(self, tablespace: str = "pg_default") -> Iterator[str]:
        """Lend a fresh database: yields its DSN, drops it afterwards."""
        name = f"kitepipe_test_{token_hex(6)}"
        with looking(self.server.dsn) as look:
            look(_TERMINATE, self.name)
            _do(look, "create database {} template {} tablespace {}", name, self.name, tablespace)
            zone = sql.Literal(self.server.timezone)
            look(sql.SQL("alter database {} set timezone = {}").format(sql.Identifier(name), zone))
        try:
            yield make_dsn(self.server.dsn, dbname=name)
        finally:
            self.server.drop(name)

    @contextmanager
    def filled(self, fill: Callable[[str], object]) -> Iterator["Template"]:
        """Call `fill` with the DSN of a fresh database; yields what others are copied from."""
        with self.database() as dsn:
            fill(dsn)
            yield self.server.closed(parse_dsn(dsn)["dbname"])


_TERMINATE = "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s"


def _do(look: Look, statement: str, *names: str) -> None:
    look(sql.SQL(statement).format(*map(sql.Identifier, names)))


@contextmanager
def looking(dsn: str) -> Iterator[Look]:
    """Connect beside the code under test: yields `look(statement, *parameters) -> rows`.

    Each statement commits by itself; the session is in UTC, whatever the database's zone is.
    """
    with closing(psycopg2.connect(dsn, connect_timeout=10)) as connection:
        connection.autocommit = True

        def look(statement: str | sql.Composable, *parameters: object) -> Rows:
            with connection.cursor() as cursor:
                cursor.execute(statement, parameters or None)
                return cursor.fetchall() if cursor.description else []

        look("set timezone = 'UTC'")
        yield look


def probe(dsn: str) -> bool:
    """Return whether the server answers with TimescaleDB at hand; raises where it is dead."""
    with looking(dsn) as look:
        query = "select 1 from pg_available_extensions where name = 'timescaledb'"
        return bool(look(query))
