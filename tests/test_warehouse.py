"""The warehouse's door: connecting, the schema on every kind of server, errors, rights."""

import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import psycopg2
import pytest
from psycopg2 import sql
from psycopg2.extensions import make_dsn, parse_dsn

from kitepipe.errors import ConnectionLost, SchemaMissing, UsageError, WarehouseError
from kitepipe.model import Interval
from kitepipe.warehouse import DatabaseManager
from kitepipe.warehouse_rows import ReplyCounts
from tests.servers import Look, looking
from tests.warehouse_help import columns, entry, minutes, name

SCHEMA = Path(__file__).parent.parent / "schema" / "timescale.sql"
PASSWORD = "hunter2/&=?"


def test_schema_makes_a_hypertable_and_is_idempotent(timescale_dsn: str, look: Look) -> None:
    """With TimescaleDB the candles stand in 3-month hypertable chunks, however often applied."""
    with DatabaseManager(timescale_dsn) as db:
        edition, server, created = db.apply_schema()
        again = db.apply_schema()
        db.check_schema()
    assert created
    assert edition in ("apache", "timescale")
    assert server.startswith("PostgreSQL ")
    assert "TimescaleDB 2." in server
    assert again == (edition, server, False)
    chunks = "select time_interval from timescaledb_information.dimensions"
    assert [str(row[0]) for row in look(chunks)] == ["90 days, 0:00:00"]
    indexes = "select indexname from pg_indexes where tablename = 'kite_ohlcv_historic'"
    assert look(indexes) == [("kite_ohlcv_historic_pkey",)]


def test_schema_makes_an_ordinary_table_without_the_extension(plain_dsn: str, look: Look) -> None:
    """Without TimescaleDB everything is there just the same."""
    with DatabaseManager(plain_dsn) as db:
        assert db.apply_schema()[::2] == ("plain", True)
        assert db.apply_schema()[::2] == ("plain", False)
        db.check_schema()
        assert db.make_hypertable_chunks(date(2024, 1, 1), date(2026, 1, 1)) == 0
    assert look("select count(*) from kite_ohlcv") == [(0,)]


@pytest.mark.parametrize("fixture", ["timescale_dsn", "plain_dsn"])
def test_psql_alone_applies_the_schema(fixture: str, request: pytest.FixtureRequest) -> None:
    """`psql -f schema/timescale.sql` makes what `kitepipe schema` makes, twice without error."""
    dsn = request.getfixturevalue(fixture)
    for _ in range(2):
        command = ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", dsn, "-f", str(SCHEMA)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    with DatabaseManager(dsn) as db:
        db.check_schema()
        assert not db.apply_schema()[2]


def test_schema_creates_the_extension_where_it_is_available(timescale_dsn: str, look: Look) -> None:
    """A database without the extension on a server that has it gets it from the schema."""
    look("drop extension timescaledb cascade")
    with DatabaseManager(timescale_dsn) as db:
        assert db.apply_schema()[0] in ("apache", "timescale")


def test_schema_stays_plain_where_the_extension_may_not_be_created(
    timescale_dsn: str, look: Look, make_role: Callable[[], str]
) -> None:
    """A role that may not create extensions gets an ordinary table instead of a failure."""
    look("drop extension timescaledb cascade")
    role = make_role()
    look(sql.SQL("grant create on schema public to {}").format(sql.Identifier(role)))
    with DatabaseManager(make_dsn(timescale_dsn, user=role)) as db:
        edition, server, created = db.apply_schema()
        warnings = "".join(db.connection.notices)
    assert (edition, created) == ("plain", True)
    assert "TimescaleDB not created" in server
    assert "may not create the extension timescaledb" in warnings


def test_missing_tables_are_named(timescale_dsn: str, look: Look) -> None:
    """check_schema names what is missing and says what to run."""
    with DatabaseManager(timescale_dsn) as db:
        with pytest.raises(SchemaMissing, match=r"kite_setup missing; run `kitepipe schema`"):
            db.check_schema()
        db.apply_schema()
        look("drop table kite_quarantine")
        with pytest.raises(SchemaMissing, match=r"^warehouse: kite_quarantine missing; run"):
            db.check_schema()


@pytest.mark.parametrize(("version", "advice"), [(0, "run `kitepipe schema`"), (9, "newer")])
def test_another_schema_version_is_refused(
    plain_dsn: str, look: Look, version: int, advice: str
) -> None:
    """Tables of another version are not touched."""
    with DatabaseManager(plain_dsn) as db:
        db.apply_schema()
        look("update kite_setup set schema_version = %s", version)
        with pytest.raises(SchemaMissing, match=f"version {version}.*{advice}"):
            db.check_schema()


def test_columnstore_is_refused_where_there_is_none(plain_dsn: str) -> None:
    """Asking for columnstore on a server without it is a usage error that says so."""
    with DatabaseManager(plain_dsn) as db:
        with pytest.raises(UsageError, match=r"columnstore: PostgreSQL .* has none"):
            db.apply_schema(columnstore=True)
        db.check_schema()


def test_columnstore_where_the_licence_allows_it(timescale_dsn: str, look: Look) -> None:
    """Under TimescaleDB's own licence columnstore and its policy are set; else it is refused."""
    with DatabaseManager(timescale_dsn) as db:
        if db.edition()[0] == "apache":
            with pytest.raises(UsageError, match="TimescaleDB's own licence"):
                db.apply_schema(columnstore=True)
            return
        db.apply_schema(columnstore=True)
        db.apply_schema(columnstore=True)
    jobs = "select count(*) from timescaledb_information.jobs where hypertable_name like 'kite%%'"
    assert look(jobs) == [(1,)]


def test_a_load_needs_no_more_than_rights_on_the_tables(
    timescale_dsn: str, look: Look, make_role: Callable[[], str]
) -> None:
    """A role that owns nothing syncs instruments, makes hypertable chunks and loads."""
    with DatabaseManager(timescale_dsn) as db:
        db.apply_schema()
    role = make_role()
    grant = "grant select, insert, update, delete on all tables in schema public to {}"
    look(sql.SQL(grant).format(sql.Identifier(role)))
    with DatabaseManager(make_dsn(timescale_dsn, user=role)) as db:
        db.check_schema()
        instrument_id = db.sync_instruments("s1", [name(7, 408065, "INFY")])[7]
        db.make_hypertable_chunks(date(2024, 1, 1), date(2024, 3, 1))
        with db.series(instrument_id, Interval.MINUTE) as series:
            batch_id = series.claim([entry()])["s1", 1]
            series.copy_new(columns(minutes(0, 1, 2)), batch_id)
            series.update_changed(columns(minutes(1), price=5.0), batch_id)
            series.delete_gone(columns(minutes(2))["at_us"])
            series.finish({("s1", 1): ReplyCounts(new=3, changed=1, gone=1)})
    assert look("select count(*) from kite_ohlcv") == [(2,)]


def test_a_password_never_shows(plain_dsn: str, make_role: Callable[[], str]) -> None:
    """Whatever is wrong with the connection, the error names the place and not the password."""
    wrong = [
        make_dsn(plain_dsn, password=PASSWORD, dbname="no_such_database"),
        make_dsn(plain_dsn, password=PASSWORD, user="no_such_role"),
        make_dsn(plain_dsn, password=PASSWORD, host="127.0.0.1", port=1),
        make_dsn(plain_dsn, password=PASSWORD, host="no-such-host.invalid"),
    ]
    for dsn in wrong:
        db = DatabaseManager(dsn)
        with pytest.raises(WarehouseError, match=r"warehouse .*KITEPIPE_DSN") as caught:
            db.open()
        assert caught.value.exit_code == 13
        assert PASSWORD not in f"{caught.value!r} {db!r}"
        assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "dsn", [f"host=x password {PASSWORD}", f"postgres//:{PASSWORD}", "hunter2"]
)
def test_a_dsn_that_cannot_be_read_is_not_repeated(dsn: str) -> None:
    """What libpq cannot read it would quote; that may be the password."""
    with pytest.raises(UsageError, match="not a connection string") as caught:
        DatabaseManager(dsn)
    assert "hunter2" not in repr(caught.value)
    assert caught.value.__suppress_context__


def test_a_refused_password_is_exit_13(plain_dsn: str, make_role: Callable[[], str]) -> None:
    """A role that may not log in is refused by the server; the message has its words."""
    with looking(plain_dsn) as look:
        role = make_role()
        look(sql.SQL("alter role {} nologin").format(sql.Identifier(role)))
    dsn = make_dsn(plain_dsn, user=role, password=PASSWORD)
    with pytest.raises(WarehouseError, match=f'"{role}" is not permitted to log in') as caught:
        DatabaseManager(dsn).open()
    assert PASSWORD not in str(caught.value)


def test_a_killed_connection_is_lost_not_refused(timescale_dsn: str, look: Look) -> None:
    """A server that goes away in the middle of a series is ConnectionLost, and leaves nothing."""
    with DatabaseManager(timescale_dsn) as db:
        db.apply_schema()
        instrument_id = db.sync_instruments("s1", [name(7, 408065, "INFY")])[7]
        pid = db.connection.info.backend_pid

        def load() -> None:
            with db.series(instrument_id, Interval.DAY) as series:
                series.copy_new(columns(minutes(0)), 1)
                look("select pg_terminate_backend(%s)", pid)
                series.finish({})

        with pytest.raises(ConnectionLost):
            load()
        with pytest.raises(ConnectionLost):
            db.check_schema()
        db.close()
        db.open()
        db.check_schema()
    assert look("select count(*) from kite_ohlcv_historic") == [(0,)]


def test_missing_tables_in_a_series_say_schema(timescale_dsn: str, look: Look) -> None:
    """A table that vanished is SchemaMissing wherever it is met."""
    with DatabaseManager(timescale_dsn) as db:
        db.apply_schema()
        look("drop table kite_series")
        with pytest.raises(SchemaMissing, match="run `kitepipe"), db.series(1, Interval.DAY) as s:
            s.state()


def test_two_at_once_apply_the_schema(timescale_dsn: str) -> None:
    """Two processes may apply the schema at the same moment."""
    errors: list[BaseException] = []

    def apply() -> None:
        try:
            with DatabaseManager(timescale_dsn) as db:
                db.apply_schema()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=apply) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


@pytest.fixture
def make_role(request: pytest.FixtureRequest) -> Iterator[Callable[[], str]]:
    """Make a role of no rights but CONNECT; it is dropped with what it owns."""
    wanted = ("timescale_dsn", "plain_dsn")
    dsn = next(request.getfixturevalue(f) for f in wanted if f in request.fixturenames)
    role = f"kitepipe_{parse_dsn(dsn)['dbname'][-12:]}"
    identifier = sql.Identifier(role)

    def make() -> str:
        with looking(dsn) as look:
            look(sql.SQL("create role {} login password 'x'").format(identifier))
        return role

    yield make
    connection = psycopg2.connect(dsn)
    with connection, connection.cursor() as cursor:
        cursor.execute("select from pg_roles where rolname = %s", (role,))
        if cursor.fetchone() is not None:
            cursor.execute(sql.SQL("drop owned by {0} cascade").format(identifier))
            cursor.execute(sql.SQL("drop role {}").format(identifier))
    connection.close()
