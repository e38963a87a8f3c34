"""Processes beside the measurement: kitepipe as a user starts it, a sandbox, a peer."""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from kitepipe.sandbox import SandboxOptions

ROOT = Path(__file__).parents[2]
_LOOK_AGAIN_S = 0.02


@dataclass(frozen=True, slots=True)
class Ran:
    """A process that ended: wall clock and CPU seconds, its most memory, and what it wrote."""

    seconds: float
    cpu_s: float
    memory_mb: float
    output: str

    def report(self) -> dict[str, Any]:
        """Return the JSON that it wrote."""
        return dict(json.loads(self.output))


def run(arguments: list[str], folder: Path, code: int = 0, /, **settings: object) -> Ran:
    """Run Python with these arguments in `folder`; RuntimeError where it ends with another code.

    `settings` are kitepipe's, by key; nothing else of the caller's settings reaches it.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started = perf_counter()
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=folder, env=_environment(folder, settings), stdin=subprocess.DEVNULL,
            stdout=out, stderr=err,
        )  # fmt: skip
        with ThreadPoolExecutor(1) as watcher:
            memory = watcher.submit(_most_memory_mb, process.pid)
            _, status, used = os.wait4(process.pid, 0)
        seconds = perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode != code:
            said = err.read().decode(errors="replace")[-2000:]
            raise RuntimeError(f"{' '.join(arguments)}: exit {process.returncode}\n{said}")
        cpu_s = used.ru_utime + used.ru_stime
        return Ran(seconds, cpu_s, memory.result(), out.read().decode())


def _most_memory_mb(pid: int) -> float:
    """Watch a process until its end; getrusage would count what we were when we began it."""
    most = 0
    status = Path(f"/proc/{pid}/status")
    with suppress(OSError):  # it is gone
        while found := re.search(r"VmHWM:\s+(\d+) kB", status.read_text()):
            most = int(found[1])
            time.sleep(_LOOK_AGAIN_S)
    return most / 1024


def kitepipe(verb: str, *flags: str, folder: Path, **settings: object) -> Ran:
    """Run a verb of kitepipe with `--json`."""
    return run(["-m", "kitepipe", verb, *flags, "--json"], folder, **settings)


@contextmanager
def sandbox(folder: Path, *flags: str) -> Iterator[str]:
    """Run the sandbox in a process of its own (see tests.bench.sandbox); yields its url."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.sandbox", *flags],
        cwd=folder, env=_environment(folder, {}), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line.startswith("listening on "):
                raise RuntimeError("the sandbox does not start")
            yield line.split()[-1]
        finally:
            process.terminate()


def session(url: str) -> dict[str, str]:
    """Return the settings with which kitepipe asks that sandbox."""
    options = SandboxOptions()
    return {"api_root": url, "api_key": options.api_key, "access_token": options.token}


def history_log(url: str) -> list[dict[str, Any]]:
    """Return what the sandbox noted of each history request, in the order of receipt."""
    with urllib.request.urlopen(f"{url}/sandbox/log", timeout=30) as answer:
        entries = json.load(answer)["log"]
    return [entry for entry in entries if entry["kind"] == "historical"]


def limit_to(url: str, per_second: float) -> None:
    """Let the sandbox take so many history requests a second from now on."""
    body = json.dumps({"per_second": per_second}).encode()
    with urllib.request.urlopen(f"{url}/sandbox/rate_limit", body, timeout=30) as answer:
        answer.read()


def _environment(folder: Path, settings: Mapping[str, object]) -> dict[str, str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("KITEPIPE_")}
    ours = {f"KITEPIPE_{key.upper()}": str(value) for key, value in settings.items()}
    home = {"XDG_CONFIG_HOME": str(folder), "PYTHONPATH": str(ROOT)}
    return {**inherited, **home, **ours}
