"""What every test may ask for: databases, a second look into them, real inputs.

`timescale_dsn`, `plain_dsn`, `embedded`: a fresh database for one test; `module_timescale_dsn`
and `module_plain_dsn`: one for a whole module (Hypothesis runs many examples in one test).
`warehouse_dsn`: one with TimescaleDB and kitepipe's tables, for one test. `hand`:
copies of a staging file and a database that the module's `make_hand` made once. `dsn`, `db`,
`series_id`: a warehouse with the schema, on both servers.
"""

import atexit
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from datetime import date
from pathlib import Path
from typing import Any, NoReturn

import psycopg2
import pytest
from hypothesis import settings

from kitepipe.warehouse import DatabaseManager
from tests.load_help import Hand, with_schema
from tests.servers import Look, Server, Template, UnavailableError, looking, probe
from tests.servers_find import embedded_server, fsync, named_dsn, plain_server, timescale_server
from tests.servers_local import memory
from tests.warehouse_help import new_instrument

# Deadlines measure the machine, which others use too. `make test` tries fewer examples than CI.
settings.register_profile("whole", deadline=None, max_examples=50, print_blob=True)
settings.register_profile("quick", settings.get_profile("whole"), max_examples=12)

_MISSING = pytest.StashKey[dict[str, str]]()
_DATABASES = (
    "made_dsn",
    "warehouse_dsn",
    "timescale_dsn",
    "module_timescale_dsn",
    "plain_dsn",
    "module_plain_dsn",
    "embedded",
)


@atexit.register
def _end_with_the_summary() -> None:
    """Let pytest's summary be the last line.

    DuckDB's binding (nanobind) complains at exit about types that Hypothesis still holds
    where a test's argument is annotated with one of them.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def pytest_configure(config: pytest.Config) -> None:
    """Begin with nothing missing, and with the tests' files where the servers' are."""
    config.stash[_MISSING] = {}
    if (folder := memory()) and not fsync():
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(folder))
    settings.load_profile("quick" if "not slow" in config.option.markexpr else "whole")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Search what was imported for garbage no more: 2 % of a run's CPU went there."""
    gc.collect()
    gc.freeze()


def pytest_sessionstart(session: pytest.Session) -> None:
    """End the run at once where KITEPIPE_TEST_DSN names a server that does not serve."""
    if not (dsn := named_dsn()):
        return
    try:
        if probe(dsn):
            return
        reason = "the server has no TimescaleDB"
    except psycopg2.Error as error:
        reason = str(error).strip()
    pytest.exit(f"KITEPIPE_TEST_DSN: {reason}", returncode=pytest.ExitCode.USAGE_ERROR)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the process that prints the summary what this one lacked (pytest -n)."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["missing"] = session.config.stash[_MISSING]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Hear of it there."""
    node.config.stash[_MISSING].update(getattr(node, "workeroutput", {}).get("missing", {}))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> Iterator[None]:
    """Say what could not be tested here, below the list of skipped tests."""
    yield
    for what, why in config.stash[_MISSING].items():
        terminalreporter.write_line(f"NOT TESTED: {what}: {why}", yellow=True, bold=True)


@pytest.fixture(scope="session", autouse=True)
def _nobodys_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads the Kite session or the warehouse of whoever runs it, nor writes there."""
    ours = ("KITEPIPE_TEST_", "KITEPIPE_REQUIRE_")
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("KITEPIPE_") and not name.startswith(ours):
                patch.delenv(name)
        patch.setenv("XDG_CONFIG_HOME", str(home / "config"))
        patch.setenv("XDG_DATA_HOME", str(home / "data"))
        yield


@contextmanager
def _serving(
    config: pytest.Config, what: str, source: AbstractContextManager[Server], *, required: bool
) -> Iterator[Template]:
    """Open a server once for the run; where it cannot be had, each test that asks is skipped."""
    with ExitStack() as stack:
        try:
            template = stack.enter_context(stack.enter_context(source).template())
        except UnavailableError as error:
            _missing(config, what, str(error), required=required)
        yield template


def _missing(config: pytest.Config, what: str, why: str, *, required: bool = False) -> NoReturn:
    config.stash[_MISSING][what] = why
    if required:
        pytest.fail(f"{what} is required here: {why}", pytrace=False)
    pytest.skip(f"{what}: {why}")


@pytest.fixture(scope="session")
def timescale_template(request: pytest.FixtureRequest) -> Iterator[Template]:
    """A server with TimescaleDB, for the whole run."""

    def say(line: str) -> None:
        capture = request.config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled() if capture else nullcontext():
            sys.stderr.write(f"\nkitepipe tests: {line}\n")

    required = os.environ.get("KITEPIPE_REQUIRE_TIMESCALE") == "1"
    source = timescale_server(say)
    with _serving(request.config, "TimescaleDB", source, required=required) as template:
        yield template


@pytest.fixture(scope="session")
def warehouse_template(timescale_template: Template) -> Iterator[Template]:
    """The same with kitepipe's tables: to make them takes longer than to copy them."""
    with timescale_template.filled(with_schema) as template:
        yield template


@pytest.fixture(scope="session")
def plain_template(request: pytest.FixtureRequest) -> Iterator[Template]:
    """A server without the extension, for the whole run."""
    source = plain_server()
    with _serving(request.config, "plain PostgreSQL", source, required=False) as template:
        yield template


@pytest.fixture(scope="session")
def embedded_template(request: pytest.FixtureRequest) -> Iterator[Template]:
    """The embedded server, for the whole run."""
    source = embedded_server()
    with _serving(request.config, "embedded PostgreSQL", source, required=False) as template:
        yield template


@pytest.fixture
def timescale_dsn(timescale_template: Template) -> Iterator[str]:
    """A fresh database with TimescaleDB and nothing else in it, for one test."""
    with timescale_template.database() as dsn:
        yield dsn


@pytest.fixture
def warehouse_dsn(warehouse_template: Template) -> Iterator[str]:
    """A fresh database with TimescaleDB and kitepipe's tables, for one test."""
    with warehouse_template.database() as dsn:
        yield dsn


@pytest.fixture(scope="module")
def module_timescale_dsn(timescale_template: Template) -> Iterator[str]:
    """A fresh database with TimescaleDB, shared by one module's tests."""
    with timescale_template.database() as dsn:
        yield dsn


@pytest.fixture
def plain_dsn(plain_template: Template) -> Iterator[str]:
    """A fresh database without TimescaleDB, for one test."""
    with plain_template.database() as dsn:
        yield dsn


@pytest.fixture(scope="module")
def module_plain_dsn(plain_template: Template) -> Iterator[str]:
    """A fresh database without TimescaleDB, shared by one module's tests."""
    with plain_template.database() as dsn:
        yield dsn


@pytest.fixture
def embedded(embedded_template: Template) -> Iterator[str]:
    """A fresh database on the embedded server, for one test."""
    with embedded_template.database() as dsn:
        yield dsn


@pytest.fixture(scope="module")
def made(
    request: pytest.FixtureRequest,
    warehouse_template: Template,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Hand, Template]]:
    """What the module's `make_hand(folder, dsn)` makes, with its database to copy from."""
    folder = tmp_path_factory.mktemp("made")
    made: list[Hand] = []

    def fill(dsn: str) -> None:
        made.append(request.module.make_hand(folder, dsn))

    with warehouse_template.filled(fill) as template:
        yield made[0], template


@pytest.fixture
def made_dsn(made: tuple[Hand, Template]) -> Iterator[str]:
    """A copy of that database, for one test."""
    with made[1].database() as dsn:
        yield dsn


@pytest.fixture
def hand(made: tuple[Hand, Template], made_dsn: str, tmp_path: Path) -> Hand:
    """A copy of the staging file that was made once, beside the copy of its database."""
    return made[0].moved(tmp_path, made_dsn)


@pytest.fixture(scope="module", params=["timescale", "plain"])
def dsn(request: pytest.FixtureRequest) -> str:
    """A warehouse with the schema, with and without TimescaleDB."""
    found: str = request.getfixturevalue(f"module_{request.param}_dsn")
    with DatabaseManager(found) as db:
        db.apply_schema()
        db.make_hypertable_chunks(date(2024, 1, 1), date(2024, 4, 1))
    return found


@pytest.fixture(scope="module")
def db(dsn: str) -> Iterator[DatabaseManager]:
    """A manager, connected for the whole module."""
    with DatabaseManager(dsn) as manager:
        yield manager


@pytest.fixture
def series_id(db: DatabaseManager) -> int:
    """An instrument that nothing was loaded of."""
    return new_instrument(db)


@pytest.fixture
def look(request: pytest.FixtureRequest) -> Iterator[Look]:
    """A second connection to the test's database: `look("select ... %s", value) -> rows`.

    It commits each statement and speaks in UTC. Where a test has several databases, the first
    of `_DATABASES` is meant; `tests.servers.looking(dsn)` reaches any.
    """
    name = next((name for name in _DATABASES if name in request.fixturenames), None)
    if name is None:
        pytest.fail(f"`look` needs one of {', '.join(_DATABASES)}", pytrace=False)
    with looking(request.getfixturevalue(name)) as look:
        yield look


@pytest.fixture(scope="session")
def real_data(request: pytest.FixtureRequest) -> Path:
    """The folder of real inputs, which the project may not ship."""
    named = os.environ.get("KITEPIPE_TEST_DATA")
    if not named:
        _missing(request.config, "real inputs", "KITEPIPE_TEST_DATA is not set")
    folder = Path(named)
    if not folder.is_dir():
        pytest.fail(f"KITEPIPE_TEST_DATA: no folder {folder}", pytrace=False)
    return folder.resolve()
