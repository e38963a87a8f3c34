"""How a verb ends: exit codes, signals, readers that go away."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent

import click
import pytest
from click.testing import CliRunner

from kitepipe import errors
from kitepipe.cli import main
from kitepipe.cli.ending import stopped_by
from kitepipe.cli.render import text_of
from kitepipe.summary import RunReport

# Other processes must find this kitepipe, installed or not.
ENVIRON = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}

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


_SLEEPER = dedent(
    """
    import click, duckdb, sys, time
    from kitepipe.cli.app import Program
    program = Program("kitepipe")

    @program.command()
    def sleep():
        print("ready", flush=True)
        time.sleep(30)

    @program.command()
    def query():
        print("ready", flush=True)
        with duckdb.connect() as database:
            while True:
                database.execute("select sum(range) from range(10000000)")

    class Finalized:
        def __del__(self):
            print("ready", flush=True)
            time.sleep(1)

    @program.command()
    def finalize():
        Finalized()
        time.sleep(30)

    program()
    """
)


@pytest.mark.parametrize("verb", ["sleep", "query", "finalize"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_real_process_with_130(number: signal.Signals, verb: str) -> None:
    """Ctrl-C and a scheduler's SIGTERM end a verb the same way, whatever it does, and quickly."""
    command = [sys.executable, "-c", _SLEEPER, verb]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRON
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.3)  # until it is at it
        process.send_signal(number)
        _, words = process.communicate(timeout=10)
    assert process.returncode == 130
    assert words.strip().startswith("interrupted: what is staged and loaded is kept")


_INTERRUPTED_IMPORT = dedent(
    """
    import enum, os, signal, sys
    from kitepipe.cli.app import Program
    program, made = Program("kitepipe"), enum.EnumType.__call__

    def interrupted(*given, **named):  # DuckDB makes enums of Python's while it is imported
        enum.EnumType.__call__ = made
        os.kill(os.getpid(), signal.SIGINT)
        return made(*given, **named)

    def importing(event, given):
        if event == "import" and given[0] == "_duckdb":
            enum.EnumType.__call__ = interrupted

    @program.command()
    def sleep():
        import duckdb, time
        assert enum.EnumType.__call__ is made
        time.sleep(30)

    @program.command()
    def end():
        import _duckdb

    @program.command()
    def fail():
        import _duckdb
        raise ValueError

    sys.addaudithook(importing)
    program()
    """
)


_COMFORT = "interrupted: what is staged and loaded is kept; run the same command again"


@pytest.mark.parametrize(
    ("verb", "ends"),
    [
        ("sleep", {(130, _COMFORT)}),
        ("fail", {(130, _COMFORT)}),
        ("end", {(0, ""), (130, _COMFORT)}),  # the verb is over first, or just not
    ],
)
def test_an_interrupt_waits_for_an_import(verb: str, ends: set[tuple[int, str]]) -> None:
    """DuckDB, which is C++, would abort the process; what is over by then has ended well."""
    command = [sys.executable, "-c", _INTERRUPTED_IMPORT, verb]
    result = subprocess.run(
        command, capture_output=True, text=True, check=False, env=ENVIRON, timeout=20
    )
    assert (result.returncode, result.stderr.strip()) in ends


_HUNG_IMPORT = dedent(
    """
    import os, signal, sys, time
    from pathlib import Path
    from kitepipe.cli.app import Program
    program = Program("kitepipe")

    @program.command()
    def load():
        Path("hung.py").write_text(
            "import os, signal, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(30)"
        )
        sys.path.insert(0, "")
        import hung

    program()
    """
)


def test_an_import_that_hangs_is_interrupted(tmp_path: Path) -> None:
    """It would hang for half a minute, and be killed here."""
    command = [sys.executable, "-c", _HUNG_IMPORT, "load"]
    result = subprocess.run(
        command, capture_output=True, check=False, env=ENVIRON, timeout=20, cwd=tmp_path
    )
    assert result.returncode == 130


_LATE_SIGNAL = dedent(
    """
    import os, signal, sys
    from kitepipe.cli.app import Program
    from kitepipe.errors import UsageError
    program, write = Program("kitepipe"), sys.stderr.write

    def signalled(text):
        os.kill(os.getpid(), signal.SIGINT)
        return write(text)

    @program.command()
    def load():
        sys.stderr.write = signalled
        raise UsageError("say what")

    program()
    """
)


def test_a_signal_after_the_end_cuts_no_message_short() -> None:
    """What ended the verb is told, and is its exit code."""
    command = [sys.executable, "-c", _LATE_SIGNAL, "load"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRON)
    assert (result.returncode, result.stderr) == (2, "error: say what\n")


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
