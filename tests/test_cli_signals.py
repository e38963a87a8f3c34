"""How Ctrl-C and SIGTERM end a verb: amid a statement, an import, or just after its end."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent

import pytest

from tests.box_help import ENVIRON

_SLEEPER = dedent(
    """
    import duckdb, time
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
    import enum, os, signal, sys, time
    from kitepipe.cli import app
    program, made = app.Program("kitepipe"), enum.EnumType.__call__

    def interrupted(*given, **named):  # DuckDB makes enums of Python's while it is imported
        enum.EnumType.__call__ = made
        os.kill(os.getpid(), signal.SIGINT)
        if sys.argv[1] == "hang":
            time.sleep(30)
        return made(*given, **named)

    def importing(event, given):
        if event == "import" and given[0] == "_duckdb":
            enum.EnumType.__call__ = interrupted

    @program.command()
    def sleep():
        import duckdb
        assert enum.EnumType.__call__ is made
        time.sleep(30)

    @program.command()
    def end():
        import _duckdb

    @program.command()
    def fail():
        import _duckdb
        raise ValueError

    @program.command()
    def hang():
        app._IMPORT_S = 0.2
        import _duckdb

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


def test_an_import_that_hangs_is_interrupted() -> None:
    """After 5 s, and here after a fraction of it: DuckDB's ends by aborting the process."""
    command = [sys.executable, "-c", _INTERRUPTED_IMPORT, "hang"]
    result = subprocess.run(command, capture_output=True, check=False, env=ENVIRON, timeout=20)
    assert result.returncode in (130, -signal.SIGABRT)


_PYTHON_IMPORT = dedent(
    """
    import sys
    from pathlib import Path
    from kitepipe.cli.app import Program
    program = Program("kitepipe")

    @program.command()
    def load():
        Path("slow.py").write_text(
            "import os, signal; os.kill(os.getpid(), signal.SIGINT); print('it went on')"
        )
        sys.path.insert(0, "")
        import slow

    program()
    """
)


def test_an_import_of_python_is_interrupted_at_once(tmp_path: Path) -> None:
    """It may hang, on a file system that does not answer."""
    command = [sys.executable, "-c", _PYTHON_IMPORT, "load"]
    result = subprocess.run(
        command, capture_output=True, check=False, env=ENVIRON, timeout=20, cwd=tmp_path
    )
    assert (result.returncode, result.stdout) == (130, b"")


_LATE_SIGNAL = dedent(
    """
    import atexit, os, signal, sys
    from kitepipe.cli.app import Program
    from kitepipe.errors import UsageError
    program, write = Program("kitepipe"), sys.stderr.write

    def signalled(text):
        os.kill(os.getpid(), signal.SIGINT)
        return write(text)

    @program.command()
    def load():
        sys.stderr.write = signalled
        atexit.register(os.kill, os.getpid(), signal.SIGTERM)
        raise UsageError("say what")

    program()
    """
)


def test_a_signal_after_the_end_cuts_no_message_short() -> None:
    """What ended the verb is told, and is its exit code, also where the signal comes twice."""
    command = [sys.executable, "-c", _LATE_SIGNAL, "load"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRON)
    assert (result.returncode, result.stderr) == (2, "error: say what\n")
