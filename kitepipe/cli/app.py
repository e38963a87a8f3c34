"""The program: its verbs, and the one place that turns how a verb ended into an exit code."""

import math
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import ExtensionFileLoader
from types import FrameType
from typing import Any, NoReturn

import click

from kitepipe import __version__
from kitepipe.cli.common import common_options
from kitepipe.cli.output import has_reader, silence, tell
from kitepipe.errors import KitepipeError

EXIT_BUG = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

_EXIT_CODES = """\
\b
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


# Each verb and the file that has it, in the order in which one meets them.
VERBS = {
    "init": "setup",
    "login": "setup",
    "instruments": "stages",
    "fetch": "stages",
    "load": "stages",
    "run": "stages",
    "replay": "stages",
    "status": "show",
    "verify": "show",
    "archive": "files",
    "staging": "files",
    "schema": "show",
    "doctor": "show",
    "sandbox": "sandbox",
    "demo": "demo",
}


class Program(click.Group):
    """The group of verbs; those of `rooms` (each by the file that has it) come when called."""

    def __init__(self, *args: Any, rooms: Mapping[str, str] | None = None, **extra: Any) -> None:
        super().__init__(*args, **extra)
        self._rooms = rooms or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Keep the order of the work, where click sorts by the alphabet."""
        return [*self._rooms, *self.commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a verb; its file is imported now."""
        if cmd_name not in self._rooms:
            return super().get_command(ctx, cmd_name)
        room = import_module(f"kitepipe.cli.{self._rooms[cmd_name]}")
        command: click.Command = getattr(room, cmd_name)
        return command

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Read the command line; help is written here."""
        with _quiet_without_reader():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb."""
        with _quiet_without_reader():
            return super().invoke(ctx)

    def main(self, *args: Any, **extra: Any) -> NoReturn:
        """Run a verb, say how it ended, and exit with the code that stands for it."""
        extra |= {"standalone_mode": False, "prog_name": "kitepipe"}
        run = super().main
        with _signals_as_interrupt() as interrupt:
            code = _guarded(lambda: interrupt.told(lambda: run(*args, **extra)))
        sys.exit(code)


def _guarded(run: Callable[[], Any]) -> int:
    try:
        code = run()
        return code if isinstance(code, int) else 0
    except click.ClickException as error:
        error.show()
        return EXIT_USAGE
    except KitepipeError as error:
        tell(f"error: {error}")
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        tell("interrupted: what is staged and loaded is kept; run the same command again")
        return EXIT_INTERRUPTED
    except Exception:
        tell(traceback.format_exc() + "error: this is a bug in kitepipe; please report it")
        return EXIT_BUG


@contextmanager
def _quiet_without_reader() -> Iterator[None]:
    """End quietly when the reader of stdout is gone, as in `kitepipe --help | head -1`."""
    try:
        yield
    except BrokenPipeError as error:
        if has_reader():  # click would take any broken pipe for stdout's, and hide a bug
            raise RuntimeError("a broken pipe that is not stdout") from error
        silence()
        raise click.exceptions.Exit(0) from None


@contextmanager
def _signals_as_interrupt() -> Iterator["_Interrupt"]:
    """Let SIGTERM end a verb as Ctrl-C does; only the main thread may set handlers."""
    interrupt = _Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    before = {number: signal.signal(number, interrupt) for number in _SIGNALS}
    unraisable, sys.unraisablehook = sys.unraisablehook, interrupt.swallowed
    try:
        yield interrupt
    finally:
        sys.unraisablehook = unraisable
        # After a signal its double may still be on its way, and the interpreter's end puts back
        # the handler that kills, unless signals are ignored.
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if interrupt.fired else handler)


_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_IMPORT_S = 5.0  # an import takes a tenth of it; one that hangs is interrupted
_MAKING = (ExtensionFileLoader.create_module.__code__, ExtensionFileLoader.exec_module.__code__)


class _Interrupt:
    """Raise KeyboardInterrupt, once for a signal that comes twice.

    A terminal and systemd signal the whole group, and the executable's parent process passes its
    own copy on to the child.
    """

    def __init__(self) -> None:
        self._last, self._waits_since = -math.inf, math.inf
        self._is_over = False

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if _is_in_extension(frame):  # DuckDB's import aborts the process where it is interrupted
            self._waits_since = min(self._waits_since, now)
            if now - self._waits_since < _IMPORT_S:
                _signal_soon()
                return
        if now - self._last > 1.0:
            is_late = self._is_over and not self.fired
            self._last = now
            if not is_late:
                raise KeyboardInterrupt

    def swallowed(self, what: "sys.UnraisableHookArgs") -> None:
        """Raise again what came while an object was finalized: Python prints that and goes on."""
        if not issubclass(what.exc_type, KeyboardInterrupt):
            sys.__unraisablehook__(what)
            return
        self._last = time.monotonic() - 1.0
        _signal_soon()

    @property
    def fired(self) -> bool:
        """Tell whether there was a signal; one that waits for an import is one."""
        return self._last > -math.inf or self._waits_since < math.inf

    def told(self, run: Callable[[], Any]) -> Any:
        """Run a verb; whatever ends it after a signal is the interrupt.

        DuckDB makes a RuntimeError of it, and what it cuts short may fail in ways of its own.
        """
        try:
            return run()
        except Exception as error:
            if self.fired:
                raise KeyboardInterrupt from error
            raise
        finally:
            self._is_over = True  # the first that still comes is late, and would cut its end short


def _is_in_extension(frame: FrameType | None) -> bool:
    """Tell whether a module that is no Python is being made: it may call Python."""
    while frame and frame.f_code not in _MAKING:
        frame = frame.f_back
    return frame is not None


def _signal_soon() -> None:
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()


@click.group(
    cls=Program,
    rooms=VERBS,
    epilog=_EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, message="kitepipe %(version)s")
@common_options
def main() -> None:
    """Download market history from Zerodha's Kite Connect, and keep a TimescaleDB filled with it.

    Start with 'kitepipe demo', which needs neither an account nor a database. For real data:
    'kitepipe init', 'kitepipe login', 'kitepipe run'.
    """
