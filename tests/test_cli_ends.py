"""How a verb ends: exit codes, readers that go away."""

import os
import subprocess
import sys
from textwrap import dedent

import click
import pytest
from click.testing import CliRunner

from kitepipe import errors
from kitepipe.cli import main
from kitepipe.cli.ending import stopped_by
from kitepipe.cli.render import text_of
from kitepipe.summary import RunReport
from tests.box_help import ENVIRON

_ENDS = {
    "usage": (errors.UsageError("say what"), 2),
    "auth": (errors.AuthenticationError("log in"), 10),
    "plan": (errors.PlanMissing("buy"), 10),
    "kite": (errors.KiteUnreachable("gone"), 11),
    "all": (errors.AllInstrumentsFailed("all"), 11),
    "staging": (errors.StagingBusy("held"), 12),
    "warehouse": (errors.SchemaMissing("schema"), 13),
}


@pytest.fixture
def failing() -> click.Group:
    """The program, with a verb that ends in each way an error can end it."""
    program = type(main)("kitepipe")

    @program.command()
    @click.argument("how")
    def end(how: str) -> None:
        if how == "bug":
            raise ZeroDivisionError
        if how == "interrupt":
            raise KeyboardInterrupt
        raise _ENDS[how][0]

    return program


@pytest.mark.parametrize("how", sorted(_ENDS))
def test_our_errors_are_one_line_and_their_exit_code(failing: click.Group, how: str) -> None:
    """An error of ours is `error: ...` on stderr, without a traceback."""
    error, code = _ENDS[how]
    result = CliRunner().invoke(failing, ["end", how])
    assert (result.exit_code, result.stdout, result.stderr) == (code, "", f"error: {error}\n")


def test_a_bug_is_exit_1_with_its_traceback(failing: click.Group) -> None:
    """What nobody foresaw shows where it happened."""
    result = CliRunner().invoke(failing, ["end", "bug"])
    assert result.exit_code == 1
    assert "ZeroDivisionError" in result.stderr
    assert "this is a bug" in result.stderr


def test_an_interrupt_is_exit_130_and_comforts(failing: click.Group) -> None:
    """Ctrl-C is no failure: what is staged stays staged."""
    result = CliRunner().invoke(failing, ["end", "interrupt"])
    assert result.exit_code == 130
    assert "what is staged and loaded is kept" in result.stderr


@pytest.mark.parametrize(
    ("error", "half"),
    [(errors.AuthenticationError("log in"), "fetch"), (errors.WarehouseError("gone"), "load")],
)
def test_of_a_run_only_the_half_that_an_error_ended_is_told_so(
    error: errors.KitepipeError, half: str
) -> None:
    """A dead session is no finished fetch, and a warehouse that goes away ends no fetch."""
    lines = [click.unstyle(line) for line in text_of("run", stopped_by(RunReport(), error))]
    assert [line for line in lines if "stopped early" in line] == [
        f"{half}: stopped early: {error}"
    ]
    assert sum(line.endswith(": done") for line in lines) == 1


_REPORTER = dedent(
    """
    from kitepipe.cli.app import Program
    from kitepipe.cli.ending import finish
    from kitepipe.summary import Failure, LoadReport
    program = Program("kitepipe")

    @program.command()
    def load():
        failures = [Failure("x" * 1000, "y")] * 5000
        return finish("load", LoadReport(failures=failures), True)

    program()
    """
)


@pytest.mark.parametrize(
    ("program", "args", "code"),
    [(_REPORTER, ["load"], 3), ("from kitepipe.cli import main; main()", ["--help"], 0)],
)
def test_a_reader_that_goes_away_is_no_error(program: str, args: list[str], code: int) -> None:
    """`kitepipe load --json | head -1` is quiet and keeps its exit code."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-c", program, *args]
    result = subprocess.run(
        command, stdout=writing, stderr=subprocess.PIPE, check=False, env=ENVIRON
    )
    os.close(writing)
    assert (result.returncode, result.stderr) == (code, b"")


def test_python_m_kitepipe_is_the_program() -> None:
    """The module can be run, and its exit codes reach the shell."""
    command = [sys.executable, "-m", "kitepipe", "fetsch"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRON)
    assert (result.returncode, result.stdout) == (2, "")
    assert "No such command 'fetsch'" in result.stderr
