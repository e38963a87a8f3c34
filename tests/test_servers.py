"""The tests' own servers: what other tests lean on."""

import psycopg2
import pytest
from psycopg2.errors import UndefinedTable

from tests.servers import Look, Template, looking


def test_timescale_database_has_the_extension(timescale_dsn: str, look: Look) -> None:
    """A test that asks for TimescaleDB can make a hypertable."""
    look("create table t (at timestamptz not null)")
    look("select create_hypertable('t', by_range('at'))")
    assert look("select count(*) from timescaledb_information.hypertables") == [(1,)]


def test_plain_database_has_no_extension(plain_dsn: str, look: Look) -> None:
    """A test that asks for plain PostgreSQL does not get TimescaleDB by accident."""
    assert look("select 1 from pg_extension where extname = 'timescaledb'") == []


def test_embedded_server_answers(embedded: str, look: Look) -> None:
    """The PostgreSQL of the extra `embedded` starts here, also as root."""
    assert look("select 1") == [(1,)]


@pytest.mark.parametrize("template", ["timescale_template", "plain_template"])
def test_databases_share_nothing(template: str, request: pytest.FixtureRequest) -> None:
    """What one test leaves behind, even an open connection, is not seen by another."""
    source: Template = request.getfixturevalue(template)
    with source.database() as first, source.database() as second:
        with looking(first) as look:
            look("create table mine ()")
        with looking(second) as look, pytest.raises(UndefinedTable):
            look("select from mine")
        forgotten = psycopg2.connect(first)
    assert forgotten.closed == 0
    forgotten.close()


def test_copies_of_a_filled_database_share_nothing(plain_template: Template) -> None:
    """Each has what was filled in; what one test adds is not seen by another, nor by later ones."""

    def fill(dsn: str) -> None:
        with looking(dsn) as look:
            look("create table mine as select 1 as number")

    with plain_template.filled(fill) as filled:
        for _ in range(2):
            with filled.database() as dsn, looking(dsn) as look:
                assert look("select number from mine") == [(1,)]
                look("insert into mine values (2)")


def test_database_zone_is_awkward(timescale_dsn: str) -> None:
    """A session that sets no zone of its own is neither in UTC nor in India."""
    connection = psycopg2.connect(timescale_dsn)
    with connection.cursor() as cursor:
        cursor.execute("show timezone")
        assert cursor.fetchone() == ("America/New_York",)
    connection.close()


def test_look_sees_only_what_is_committed(timescale_dsn: str, look: Look) -> None:
    """The second connection cannot be fooled by an open transaction."""
    look("create table t (n int)")
    writer = psycopg2.connect(timescale_dsn)
    with writer.cursor() as cursor:
        cursor.execute("insert into t values (1)")
        assert look("select n from t") == []
        writer.commit()
    assert look("select n from t where n = %s", 1) == [(1,)]
    writer.close()
