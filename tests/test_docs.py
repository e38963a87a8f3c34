"""The README says what is there: commands, flags, variables, codes, rules, and code that runs."""

import ast
import re
import shlex
import subprocess
import sys
from datetime import date
from importlib import import_module
from pathlib import Path

import click
import psycopg2
import pytest

import kitepipe
from kitepipe import errors, summary
from kitepipe.candle import RULES
from kitepipe.cli import app
from kitepipe.config import KEYS, ConfigLoader
from kitepipe.config_text import markdown_table
from kitepipe.model import Interval, Window
from kitepipe.sessions import CLOSES
from kitepipe.staging import Staging
from kitepipe.warehouse import DatabaseManager
from tests.staging_help import API_ROOT, candles, commit, numbered, series

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
CONTEXT = click.Context(app.main)
COMMANDS = {
    name: command
    for verb in app.main.list_commands(CONTEXT)
    if (group := app.main.get_command(CONTEXT, verb))
    for name, command in (
        [(f"{verb} {name}", part) for name, part in group.commands.items()]
        if isinstance(group, click.Group)
        else [(verb, group)]
    )
}


def _section(title: str) -> str:
    """Return what stands under one heading, down to the next of its rank or above."""
    found = re.search(rf"^(#+) {re.escape(title)}\n(.*)", README, re.DOTALL | re.MULTILINE)
    assert found, f"the README has no section {title}"
    return re.split(rf"^#{{1,{len(found[1])}}} ", found[2], flags=re.MULTILINE)[0]


def _first_cells(text: str) -> list[str]:
    """Return the first column of the tables in `text`, without headings and backticks."""
    rows = re.findall(r"^\| (.*?) \|.*$", text, re.MULTILINE)
    return [row.strip("`") for row in rows]


def _blocks(language: str) -> list[str]:
    blocks = [text for name, text in BLOCKS if name == language]
    assert blocks, f"the README has no {language} block"
    return blocks


def _command_lines() -> list[str]:
    lines = [
        line.strip() for name, text in BLOCKS if name in ("", "ini") for line in text.split("\n")
    ]
    lines = [re.sub(r"^ExecStart=\S*/", "", line) for line in lines]
    return [line for line in lines if line.startswith("kitepipe ")]


def _options(command: str) -> set[str]:
    params = COMMANDS[command].params
    return {text for param in params for text in (*param.opts, *param.secondary_opts)}


def _flags() -> set[str]:
    """Return every flag of every command, those of the program included."""
    flags = {text for name in COMMANDS for text in _options(name)} | {"--help", "-h"}
    flags |= {text for param in app.main.params for text in param.opts}
    return {text for text in flags if text.startswith("-")}


def test_commands_are_those_of_the_program() -> None:
    """The table of commands lists each one, in the order of `--help`."""
    listed = [name for name in _first_cells(_section("Commands")) if name in COMMANDS]
    assert listed == list(COMMANDS)
    named = {line.split()[1] for line in _command_lines()}
    named |= set(re.findall(r"`kitepipe ([a-z]+)", README))
    assert named - set(app.main.list_commands(CONTEXT)) == set()


def test_every_flag_is_documented_and_none_is_made_up() -> None:
    """The README names the flags that there are."""
    code = " ".join(text for name, text in BLOCKS if name == "") + re.sub(
        r"^```.*?^```$", "", README, flags=re.DOTALL | re.MULTILINE
    )
    named = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", code))
    foreign = {"-k", "-x", "-f", "--seed", "--size"}  # pytest's, psql's and the soak's
    assert (_flags() - named, named - _flags() - foreign) == (set(), set())


@pytest.mark.parametrize("line", _command_lines())
def test_command_lines_parse(line: str) -> None:
    """What the README tells to type is taken by that very command."""
    verb, *arguments = shlex.split(line, comments=True)[1:]
    if verb not in COMMANDS:
        verb = f"{verb} {arguments.pop(0)}"
    COMMANDS[verb].make_context(verb, arguments, parent=None)


def test_variables_are_those_that_are_read() -> None:
    """Each variable of kitepipe and of its tests is there, and no other."""
    known = {key.variable for key in KEYS.values()} | {"KITEPIPE_CONFIG"}
    for path in (ROOT / "tests").glob("*.py"):
        if path.name == "conftest.py" or path.name.startswith("servers"):
            text = path.read_text(encoding="utf-8")
            known |= set(re.findall(r"\bKITEPIPE_(?:TEST|REQUIRE)_[A-Z]+\b", text))
    assert known == set(re.findall(r"\bKITEPIPE_[A-Z_]*[A-Z]\b", README))


def test_settings_are_the_table_of_keys() -> None:
    """The settings' table is made by the loader's own table."""
    found = re.search(r"<!-- settings.*?-->\n(.*)<!-- /settings -->", README, re.DOTALL)
    assert found
    assert found[1] == markdown_table()


def test_exit_codes_are_those_of_errors_and_reports() -> None:
    """Each code that a command can end with stands in the table, and no other."""
    classes = [c for c in vars(errors).values() if isinstance(c, type)]
    codes = {c.exit_code for c in classes if issubclass(c, errors.KitepipeError)}
    codes |= {summary.EXIT_DONE, summary.EXIT_INCOMPLETE}
    codes |= {app.EXIT_BUG, app.EXIT_USAGE, app.EXIT_INTERRUPTED}
    listed = [int(cell) for cell in _first_cells(_section("Exit codes")) if cell.isdigit()]
    assert listed == sorted(codes)


def test_quarantine_rules_are_those_of_candles() -> None:
    """The rules stand there in the order in which they are tried."""
    section = _section("Candles: what is understood, what is quarantined")
    assert _first_cells(section)[1:] == list(RULES)


def test_caps_and_closes_are_those_in_force() -> None:
    """Windows and settled dates follow the tables that the README shows."""
    section = _section("How it works")
    caps = re.findall(r"^\| (\w*minute|day) \| (\d+) \|$", section, re.MULTILINE)
    assert caps == [(interval.value, str(interval.max_days)) for interval in Interval]
    rows = re.findall(r"^\| ([A-Z, ]+) \| (\d\d:\d\d) \| ?(\S*) ?\|$", section, re.MULTILINE)
    told = {(name, at, since) for names, at, since in rows for name in names.split(", ")}
    first = min(close.since for close in CLOSES)
    inforce = {
        (c.exchange, f"{c.at:%H:%M}", "" if c.since == first else c.since.isoformat())
        for c in CLOSES
    }
    assert told == inforce


def test_tests_that_are_named_are_there() -> None:
    """What is promised is held by a test that exists."""
    named = set(re.findall(r"`(test_[a-z_]+\.py)`", README))
    assert len(named) > 20
    assert [name for name in named if not (ROOT / "tests" / name).is_file()] == []


def test_make_targets_are_those_of_the_makefile() -> None:
    """Each target with a word of help is there, and no other."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    assert targets == set(re.findall(r"(?:^|`)make ([a-z-]+)", README, re.MULTILINE))


def test_extras_are_installed_beside_what_is_locked(tmp_path: Path) -> None:
    """`make soak`, `bench`, `lock` and `audit` need them: pip takes the locked versions alone."""
    versions = tmp_path / "versions.txt"
    make = ["make", "-s", "-o", ".venv/kitepipe.stamp", f"VERSIONS={versions}", str(versions)]
    subprocess.run(make, cwd=ROOT, check=True)
    locked = (ROOT / "build" / "requirements.lock").read_text(encoding="utf-8")
    assert len(re.findall("==", versions.read_text())) == len(re.findall("==", locked)) > 50
    flags = ["--dry-run", "--no-index", "--no-deps", "--no-build-isolation", "--quiet"]
    pip = [sys.executable, "-m", "pip", "install", *flags, "--constraint", str(versions)]
    subprocess.run([*pip, "--editable", "."], cwd=ROOT, check=True)


@pytest.mark.parametrize("block", _blocks("python"))
def test_python_blocks_compile_and_import_what_there_is(block: str) -> None:
    """Examples can be pasted: they compile, and each name that they import exists."""
    tree = ast.parse(block)
    compile(tree, "README.md", "exec")
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    for node in imports:
        if node.module and node.module.split(".")[0] == "kitepipe":
            module = import_module(node.module)
            assert [name.name for name in node.names if not hasattr(module, name.name)] == []
            assert node.module == "kitepipe", "examples use public names"


def test_the_staging_file_is_read_as_the_readme_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The query of `Staging grows` finds a reply with all about it."""
    monkeypatch.chdir(tmp_path)
    window = Window(date(2026, 11, 20), date(2026, 11, 20))
    with Staging.write(Path("kitepipe.duckdb"), API_ROOT) as staging, numbered(staging) as writer:
        commit(writer, series(1), window, candles([window.first]))
    (block,) = (block for block in _blocks("python") if "join body" in block)
    exec(compile(block, "README.md", "exec"), {})
    shown = capsys.readouterr().out
    assert ("2026-11-20" in shown, "success" in shown) == (True, True), shown


def test_sql_blocks_run(timescale_dsn: str) -> None:
    """Every query, and the grants, are taken by a server that has the schema."""
    with DatabaseManager(timescale_dsn) as warehouse:
        warehouse.apply_schema()
    connection = psycopg2.connect(timescale_dsn)
    with connection.cursor() as cursor:
        for block in _blocks("sql"):
            cursor.execute(block)
    connection.rollback()  # roles belong to the whole server
    connection.close()


def test_the_sample_configuration_is_one(tmp_path: Path) -> None:
    """The small kitepipe.toml can be copied."""
    file = tmp_path / "kitepipe.toml"
    file.write_text(_blocks("toml")[0], encoding="utf-8")
    settings = ConfigLoader(file, environ={"HOME": str(tmp_path)}).load()
    assert settings.candle_interval == (Interval.DAY, Interval.MINUTE_60)


def test_links_lead_somewhere() -> None:
    """Links within the repository and within the page have a target."""
    headings = re.findall(r"^#+ (.*)$", README, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", text).lower().replace(" ", "-") for text in headings}
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    broken = [
        link
        for link in links
        if not (link[1:] in anchors if link.startswith("#") else (ROOT / link).is_file())
    ]
    assert broken == []


@pytest.mark.parametrize("name", sorted(set(kitepipe.__all__) - {"__version__"}))
def test_public_names_are_there_and_documented(name: str) -> None:
    """Each public name can be imported, says what it is, and stands in the README."""
    assert (getattr(kitepipe, name).__doc__ or "").strip()
    assert f"`{name}`" in _section("Python")


def test_importing_kitepipe_loads_no_driver() -> None:
    """Public names are imported when they are used, and an unknown one is an AttributeError."""
    program = (
        "import sys, kitepipe; "
        "print(hasattr(kitepipe, 'nothing'), 'RateLimiter' in dir(kitepipe), "
        "{'duckdb', 'psycopg2', 'numpy', 'requests'} & set(sys.modules))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert ran.stdout.strip() == "False True set()"
