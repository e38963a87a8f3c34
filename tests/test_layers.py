"""The shape of the code: arrows run down, each outside thing has one room, files stay short."""

import ast
import subprocess
import sys
from collections.abc import Container, Iterator
from fnmatch import fnmatch
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from kitepipe.staging import Staging

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "kitepipe"
MODULES = sorted(PACKAGE.rglob("*.py"))
SOURCES = MODULES + sorted((ROOT / "tests").rglob("*.py"))

# A room is named by the first word of its file, or by its folder; from the top down. A room may
# use those below it and, where the line says so, its neighbours (never in a circle).
LEVELS = [
    ({"__main__"}, "apart"),
    ({"cli"}, "apart"),
    ({"pipeline", "sandbox"}, "apart"),  # the sandbox knows nothing of what it is asked by
    # The pipeline's, on its way to a stage: what opens doors, and what looks without writing.
    (
        {"prepare", "adopt", "forecast", "gaps", "lost", "doors", "verify", "status", "doctor"},
        "neighbours",
    ),
    ({"fetch", "load"}, "apart"),
    ({"holder"}, "apart"),
    ({"kite", "staging", "warehouse"}, "apart"),
    (
        {"plan", "sessions", "config", "settings", "session", "embedded", "filters", "candle"},
        "neighbours",
    ),
    ({"model", "ratelimit", "errors", "sql", "summary", "progress"}, "neighbours"),
]
LEVEL = {room: -height for height, (rooms, _) in enumerate(LEVELS) for room in rooms}
APART = {room for rooms, how in LEVELS if how == "apart" for room in rooms}

ONE_ROOM = {
    "duckdb": "staging*.py",
    "psycopg2": "warehouse*.py",
    "requests": "kite*.py",
    "kiteconnect": "kite*.py",
    "urllib3": "kite*.py",
    "urllib.request": "kite*.py",
    "http.client": "kite*.py",
    "rich": "cli/*.py",
    "click": "cli/*.py",
}
HEAVY = {"duckdb", "psycopg2", "numpy", "kiteconnect", "requests", "rich", "tenacity"}


def _name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def _ids(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _imports(path: Path) -> frozenset[str]:
    """Return every dotted name that a file imports, in functions and for type checkers too."""
    return frozenset(_imported(path))


def _imported(path: Path) -> Iterator[str]:
    package = ["kitepipe", *path.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _room(path: Path) -> str:
    return _word(path.relative_to(PACKAGE).parts[0].removesuffix(".py"))


def _word(name: str) -> str:
    return name if name.startswith("_") else name.split("_")[0]


def _ours(path: Path) -> set[str]:
    """Return the rooms of this package that a file imports from."""
    dotted = (name.split(".") for name in _imports(path))
    names = {parts[1] for parts in dotted if parts[0] == "kitepipe" and len(parts) > 1}
    return {_word(name) for name in names} - {"__version__"}


def _within(name: str, outside: str) -> bool:
    return name == outside or name.startswith(outside + ".")


@pytest.mark.parametrize("path", MODULES, ids=_ids)
def test_every_file_has_a_room(path: Path) -> None:
    """A new file belongs to a room that has its level: add a room to LEVELS on purpose only."""
    if path != PACKAGE / "__init__.py":
        assert _room(path) in LEVEL


@pytest.mark.parametrize("path", MODULES, ids=_ids)
def test_arrows_run_down(path: Path) -> None:
    """A room imports only from rooms below it, and from neighbours where its level allows it."""
    if path == PACKAGE / "__init__.py":
        return
    room = _room(path)
    wrong = {
        other
        for other in _ours(path) - {room}
        if other not in LEVEL
        or LEVEL[other] > LEVEL[room]
        or (LEVEL[other] == LEVEL[room] and room in APART)
    }
    assert wrong == set()


def _module(imported: str, names: Container[str]) -> str:
    """Return which of our files `imported` is, or stands in; an empty text for none."""
    parent = imported.rpartition(".")[0]
    return imported if imported in names else parent if parent in names else ""


def test_no_file_imports_itself_in_a_circle() -> None:
    """Files can be read from the bottom up: graphlib refuses a circle by name."""
    dotted = [".".join(("kitepipe", *Path(_name(path)).with_suffix("").parts)) for path in MODULES]
    names = dict(zip((name.removesuffix(".__init__") for name in dotted), MODULES, strict=True))
    del names["kitepipe"]  # `from kitepipe import __version__` asks for nothing else
    graph = {
        name: {_module(imported, names) for imported in _imports(path)} - {name, ""}
        for name, path in names.items()
    }
    assert len(tuple(TopologicalSorter(graph).static_order())) == len(names)


@pytest.mark.parametrize(("outside", "room"), ONE_ROOM.items(), ids=list(ONE_ROOM))
def test_each_outside_thing_has_one_room(outside: str, room: str) -> None:
    """A driver, an HTTP client or a terminal is imported in one room only."""
    strangers = {
        _name(path)
        for path in MODULES
        if not fnmatch(_name(path), room) and any(_within(name, outside) for name in _imports(path))
    }
    assert strangers == set()


def _attributes(path: Path) -> set[str]:
    """Return what a file takes from `os` and `sys`, as `os.environ`."""
    nodes = [node for node in ast.walk(_tree(path)) if isinstance(node, ast.Attribute)]
    dotted = {f"{n.value.id}.{n.attr}" for n in nodes if isinstance(n.value, ast.Name)}
    return dotted | _imports(path)


def test_only_config_reads_the_environment() -> None:
    """Every setting goes the one way through the configuration; the entry tells numpy one thing."""
    forbidden = {"os.environ", "os.getenv", "os.environb", "os.putenv"}
    strangers = {_name(path) for path in MODULES if _attributes(path) & forbidden}
    assert strangers <= {"config.py", "__main__.py"}


def test_only_the_command_line_prints() -> None:
    """A library call writes nothing to the caller's terminal."""
    strangers = set()
    for path in MODULES:
        calls = [node for node in ast.walk(_tree(path)) if isinstance(node, ast.Call)]
        printing = any(isinstance(c.func, ast.Name) and c.func.id == "print" for c in calls)
        if printing or _attributes(path) & {"sys.stdout", "sys.stderr"}:
            strangers.add(_name(path))
    assert {name for name in strangers if not name.startswith("cli/")} == set()


@pytest.mark.parametrize("path", SOURCES, ids=_ids)
def test_files_and_functions_stay_short(path: Path) -> None:
    """A file has 300 lines at most and a function 50: what is longer is two things."""
    functions = [
        node
        for node in ast.walk(_tree(path))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300
    assert [f.name for f in functions if (f.end_lineno or 0) - f.lineno + 1 > 50] == []


def _loaded(*arguments: str) -> set[str]:
    """Run the program in a process of its own and return what it had imported at its end."""
    program = (
        "import sys\n"
        f"sys.argv = ['kitepipe', *{arguments!r}]\n"
        "from kitepipe.__main__ import main\n"
        "try: main()\n"
        "finally: print('\\n', *{name.split('.')[0] for name in sys.modules})\n"
    )
    command = [sys.executable, "-c", program]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    said, _, loaded = ran.stdout.rstrip().rpartition("\n")
    assert (ran.returncode, "kitepipe" in said) == (0, True), ran.stderr
    return set(loaded.split())


@pytest.mark.parametrize("arguments", [("--version",), ("--help",), ("fetch", "--help")])
def test_version_and_help_import_nothing_heavy(arguments: tuple[str, ...]) -> None:
    """They answer at once: drivers are imported by who needs them."""
    assert HEAVY & _loaded(*arguments) == set()


def test_status_without_a_database_imports_duckdb_and_nothing_else(tmp_path: Path) -> None:
    """What is staged can be told without Kite, and without the driver of a database."""
    path = tmp_path / "kitepipe.duckdb"
    with Staging.write(path, "http://127.0.0.1:9"):
        pass
    assert HEAVY & _loaded("status", "--staging", str(path)) == {"duckdb"}


def test_the_linter_knows_the_rooms_too() -> None:
    """Ruff says it while one types: its banned names are those of this test."""
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    unknown = [name for name in ("duckdb", "psycopg2", "requests", "kiteconnect", "rich")
               if f'"{name}".msg' not in pyproject]  # fmt: skip
    assert unknown == []


@pytest.mark.parametrize("path", [path for path in MODULES if "staging" in path.name], ids=_ids)
def test_no_result_of_staging_is_left_half_read(path: Path) -> None:
    """It would keep its transaction, and open the file that a long fetch lets go of."""
    called = {node.attr for node in ast.walk(_tree(path)) if isinstance(node, ast.Attribute)}
    assert called.isdisjoint({"fetchone", "fetchmany"})
