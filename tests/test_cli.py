"""The command line: help, flags, exit codes, and what stands on stdout and on stderr."""

import json
import os
import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from kitepipe import __version__
from kitepipe.cli import main
from kitepipe.cli.app import VERBS
from kitepipe.cli.options import Verb
from kitepipe.config import KEYS

STAGES = ["instruments", "fetch", "load", "run", "replay", "verify"]
WITH_SETTINGS = ["instruments", "fetch", "run", "status", "schema", "doctor", "login"]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("KITEPIPE_")]:
        monkeypatch.delenv(name)


def _run(*args: str, **environ: str) -> Result:
    return CliRunner(env=environ).invoke(main, list(args), terminal_width=80)


HELP = """\
Usage: kitepipe [OPTIONS] COMMAND [ARGS]...

  Download market history from Zerodha's Kite Connect, and keep a TimescaleDB
  filled with it.

  Start with 'kitepipe demo', which needs neither an account nor a database. For
  real data: 'kitepipe init', 'kitepipe login', 'kitepipe run'.

Options:
  --version                      Show the version and exit.
  -v, --verbose                  Log each window.
  --log-format [auto|text|json]  Form of log lines  [auto: text on a terminal,
                                 else JSON]
  --config FILE                  Configuration file  [KITEPIPE_CONFIG, or
                                 kitepipe.toml or config.json here]
  -h, --help                     Show this message and exit.

Commands:
  init         Write kitepipe.toml: every setting, commented out.
  login        Open today's Kite session, and keep it for the other verbs.
  instruments  Take Kite's dump of instruments into staging.
  fetch        Download what is not covered yet into the staging file.
  load         Load staged replies that the database does not know yet.
  run          Fetch and load side by side, as a scheduler would.
  replay       Load every staged reply again, offline.
  status       Show what is staged, what is loaded, and who is at work.
  verify       Compare staging and database, and name each difference.
  archive      Move loaded replies from staging into Parquet files.
  staging      Look after the staging file: compact, backup, rescue.
  schema       Make the tables where they are missing, and name the server.
  doctor       Check configuration, session, Kite, staging and database.
  sandbox      Serve Kite's protocol on this machine, for trials.
  demo         Fill a database with synthetic history, on this machine.

  Exit codes:
      0  done, or nothing to do
      1  a bug: traceback
      2  usage or configuration
      3  finished but incomplete; the report says what
     10  authentication: log in again, or no data plan
     11  Kite unreachable, or every instrument failed
     12  staging: held by another process, damaged, foreign, or disk full
     13  warehouse: unreachable, or the schema is missing
    130  interrupted; what is staged and loaded is kept
"""


def test_help_is_the_page_that_we_mean() -> None:
    """A change of the first page that users see is made on purpose."""
    result = _run("--help")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == HELP


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_each_verb_has_help_with_an_example(verb: str) -> None:
    """Help says what the verb does, ends with an example, and fits its own page."""
    result = _run(verb, "--help")
    assert result.exit_code == 0
    example = result.stdout.partition("Example:\n")[2]
    assert f"kitepipe {verb}" in example
    command = main.get_command(click.Context(main), verb)
    assert command is not None
    assert "..." not in (command.get_short_help_str(62) or "...")
    for flag in ("--verbose", "--config", "--log-format"):
        assert flag in result.stdout


@pytest.mark.parametrize("verb", ["load", "replay", "verify"])
def test_verbs_that_take_all_that_is_staged_have_no_filters(verb: str) -> None:
    """A flag that would be ignored is refused: who types it believes that it chooses something."""
    assert {"--staging", "--dsn"} <= set(re.findall(r"--[a-z]+", _run(verb, "--help").stdout))
    for flag in ("--candle-interval=day", "--exchanges=NSE", "--tradingsymbols=INFY", "--oi"):
        refused = _run(verb, flag)
        assert (refused.exit_code, "No such option" in refused.stderr) == (2, True)


@pytest.mark.parametrize("verb", WITH_SETTINGS)
def test_every_setting_is_a_flag_and_no_secret_is(verb: str) -> None:
    """Flags come from the table of keys; others could read a secret on a command line."""
    shown = _run(verb, "--help").stdout
    options = set(re.findall(r"--[a-z][a-z-]*", shown))
    assert {key.flag for key in KEYS.values() if key.flag} <= options
    assert options.isdisjoint({"--api-key", "--api-secret", "--access-token"})
    assert "--json" in options


def test_version_is_told() -> None:
    """--version names program and version."""
    assert _run("--version").stdout == f"kitepipe {__version__}\n"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["fetsch"], "No such command"),
        (["fetch", "--bogus"], "No such option"),
        (["fetch", "--from", "yesterday"], "is not a date such as"),
        (["fetch", "--until", "25:00"], "is not a time such as"),
        (["fetch", "--max-requests", "0"], "not in the range"),
        (["fetch", "--from", "2024-02-01", "--to", "2024-01-01"], "is after"),
        (["replay", "--as-of", "then"], "is not an instant"),
        (["fetch", "--batch-size", "none"], "--batch-size"),
        (["fetch", "--candle-interval", "5min"], 'did you mean "5minute"?'),
        (["--config", "absent.toml", "load"], "absent.toml"),
        (["load", "--config", "absent.toml"], "absent.toml"),
        (["load", "--dsn", "postgresql://me:hush@db/x"], "KITEPIPE_DSN"),
        (["sandbox", "--latency-ms", "fast"], "--latency-ms"),
        (["sandbox", "--split", "INFY"], "--split"),
        (["sandbox", "--faults", "flood"], "flood"),
    ],
)
def test_wrong_usage_is_exit_2_with_words_on_stderr(args: list[str], words: str) -> None:
    """Whatever is wrong with a command line or a setting ends with 2, before any work."""
    result = _run(*args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr
    assert "hush" not in result.stderr
    assert "Traceback" not in result.stderr


def test_an_unknown_variable_is_exit_2() -> None:
    """A mistyped variable is told, not passed over."""
    result = _run("load", KITEPIPE_DNS="dbname=x")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: unknown variable KITEPIPE_DNS")


@pytest.mark.parametrize("verb", STAGES)
def test_disabled_says_so_and_does_nothing(verb: str) -> None:
    """With enabled = false each stage ends with 0 and leaves no file."""
    Path("kitepipe.toml").write_text("enabled = false\n")
    result = _run(verb, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"enabled": False, "exit_code": 0}
    assert "enabled = false" in result.stderr
    assert os.listdir() == ["kitepipe.toml"]


def test_config_and_verbose_stand_before_or_after_the_verb() -> None:
    """People put them at either place."""
    Path("other.toml").write_text("enabled = false\n")
    for args in (["--config", "other.toml", "fetch"], ["fetch", "-v", "--config", "other.toml"]):
        assert "enabled = false" in _run(*args).stderr


def test_a_verb_of_ones_own_needs_no_settings() -> None:
    """`Verb` alone carries an example and the log, nothing else."""

    @click.command(cls=Verb, example="kitepipe nothing")
    def nothing() -> None:
        """Do nothing."""

    result = CliRunner().invoke(nothing, ["--help"])
    assert "Example:\n    kitepipe nothing" in result.stdout
    assert "Settings" not in result.stdout
