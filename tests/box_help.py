"""An operations box for tests: a folder, a sandbox, a database, kitepipe as its own process."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from psycopg2.extensions import make_dsn, parse_dsn

from kitepipe.config import Settings
from kitepipe.model import Interval
from kitepipe.sandbox import Sandbox

ROOT = Path(__file__).parents[1]
# Other processes must find this kitepipe, installed or not.
ENVIRON = os.environ | {"PYTHONPATH": str(ROOT)}


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def report(self) -> Any:
        """Return the report of `--json`."""
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """Return the last error line."""
        return [line for line in self.err.splitlines() if line.startswith("error: ")][-1]


@dataclass
class Box:
    """Runs `python -m kitepipe` in `folder`, with the sandbox's session and a database or none."""

    folder: Path
    kite: Sandbox
    dsn: str = ""
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def staging(self) -> Path:
        """Return the staging file."""
        return self.folder / "kitepipe.duckdb"

    def settings(self, **other: Any) -> Settings:
        """Return the same for a call in this process."""
        given: dict[str, Any] = {
            "api_root": self.kite.url,
            "api_key": self.kite.options.api_key,
            "access_token": self.kite.options.token,
            "rate_limit": 1000.0,
            "max_attempts": 1,
            "staging": self.staging,
            "dsn": self.dsn or None,
            "candle_interval": (Interval.DAY,),
        }
        return Settings(**(given | other))

    @contextmanager
    def started(
        self, *args: str, program: tuple[str, ...] = ("-m", "kitepipe")
    ) -> Iterator["subprocess.Popen[str]"]:
        """Start a command, and see that it is over; variables without a value are not set."""
        ours = {
            "KITEPIPE_API_ROOT": self.kite.url,
            "KITEPIPE_API_KEY": self.kite.options.api_key,
            "KITEPIPE_ACCESS_TOKEN": self.kite.options.token,
            "KITEPIPE_SESSION_FILE": "session.json",
            "KITEPIPE_RATE_LIMIT": "1000",
            "KITEPIPE_MAX_ATTEMPTS": "1",
            "KITEPIPE_DSN": self.dsn,
            "PYTHONPATH": str(ROOT),
        } | self.environ
        others = {k: v for k, v in os.environ.items() if not k.startswith("KITEPIPE_")}
        process = subprocess.Popen(
            [sys.executable, *program, *args],
            cwd=self.folder,
            env=others | {key: value for key, value in ours.items() if value},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            try:
                yield process
            finally:
                process.kill()

    def kitepipe(self, *args: str, program: tuple[str, ...] = ("-m", "kitepipe")) -> Ended:
        """Run a command to its end."""
        with self.started(*args, program=program) as process:
            return ended(process)


def ended(process: "subprocess.Popen[str]") -> Ended:
    """Wait for a process; a storm of 429s keeps it waiting for minutes."""
    out, err = process.communicate(timeout=240)
    return Ended(process.returncode, out, err)


def interrupted(process: "subprocess.Popen[str]") -> tuple[Ended, float]:
    """Press Ctrl-C, and return how it ended and after how many seconds."""
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    return ended(process), time.monotonic() - started


def wait_until(process: "subprocess.Popen[str]", what: Callable[[], object]) -> None:
    """Wait until `what` is true, while the process runs."""
    end = time.monotonic() + 30
    while not what():
        assert process.poll() is None, f"it ended before:\n{ended(process).err}"
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


class Wire:
    """A wire to the database that can be cut: its `dsn` leads through this process."""

    def __init__(self, dsn: str) -> None:
        parts = parse_dsn(dsn)
        self._server = (parts["host"], int(parts["port"]))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ends: list[socket.socket] = []
        port = self._listener.getsockname()[1]
        self.dsn = make_dsn(dsn, host="127.0.0.1", port=port)

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.cut()

    def cut(self) -> None:
        """End every connection, and take no more."""
        for end in [self._listener, *self._ends]:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = self._reach()
                self._ends += [near, far]
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=_carry, args=pair, daemon=True).start()

    def _reach(self) -> socket.socket:
        host, port = self._server
        if not host.startswith("/"):
            return socket.create_connection((host, port))
        far = socket.socket(socket.AF_UNIX)
        far.connect(f"{host}/.s.PGSQL.{port}")
        return far


def _carry(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
