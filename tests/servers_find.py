"""Where the tests' servers come from: named, found, made, or in a container, in this order.

`KITEPIPE_TEST_DSN` names a TimescaleDB: then nothing else is tried.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from kitepipe.embedded import embedded_dsn
from kitepipe.errors import UsageError, WarehouseError
from tests.servers import Server, UnavailableError
from tests.servers_debian import Say, debian
from tests.servers_local import Programs, installed, running, wait_ready

IMAGE = "timescale/timescaledb:latest-pg17"
TIMESCALE_ZONE = "America/New_York"  # behind UTC, with summer time
PLAIN_ZONE = "Asia/Kolkata"  # India's own: hides what the other shows, and the other way round


def named_dsn() -> str | None:
    """Return the server that the environment names."""
    return os.environ.get("KITEPIPE_TEST_DSN") or None


def fsync() -> bool:
    """Off: the tests may lose everything in a power cut, and are quicker for it."""
    return os.environ.get("KITEPIPE_TEST_FSYNC") == "1"


@contextmanager
def timescale_server(say: Say) -> Iterator[Server]:
    """Lend a server with TimescaleDB; UnavailableError says all that was tried."""
    if dsn := named_dsn():
        yield Server(dsn, timescale=True, timezone=TIMESCALE_ZONE)
        return
    reasons: list[str] = []
    programs = installed(timescale=True) or _debian(say, reasons)
    source = running(programs, timescale=True, fsync=fsync()) if programs else container(reasons)
    with source as found:
        yield Server(found, timescale=True, timezone=TIMESCALE_ZONE)


def _debian(say: Say, reasons: list[str]) -> Programs | None:
    try:
        return debian(say)
    except UnavailableError as error:
        reasons.append(str(error))
        return None


@contextmanager
def container(reasons: list[str]) -> Iterator[str]:
    """Run the TimescaleDB image; `reasons` is what failed before."""
    engine = next((e for e in ("docker", "podman") if _answers(e)), None)
    if engine is None:
        tried = "; ".join(["no local PostgreSQL has TimescaleDB", *reasons, "no container engine"])
        raise UnavailableError(f"{tried}; or name a server in KITEPIPE_TEST_DSN")
    publish = ["--publish", "127.0.0.1::5432", "--env", "POSTGRES_HOST_AUTH_METHOD=trust"]
    name = _engine(engine, "run", "--detach", "--rm", *publish, IMAGE)
    try:
        ports = json.loads(_engine(engine, "inspect", name))[0]["NetworkSettings"]["Ports"]
        port = ports["5432/tcp"][0]["HostPort"]
        dsn = f"host=127.0.0.1 port={port} user=postgres dbname=postgres"
        wait_ready(dsn)
        yield dsn
    finally:
        _engine(engine, "kill", name)


def _answers(engine: str) -> bool:
    if not shutil.which(engine):
        return False
    with suppress(subprocess.TimeoutExpired):
        asked = subprocess.run([engine, "info"], capture_output=True, check=False, timeout=20)
        return asked.returncode == 0
    return False


def _engine(engine: str, *arguments: str) -> str:
    done = subprocess.run([engine, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise UnavailableError(f"{engine} {arguments[0]}: {done.stderr.strip()[-300:]}")
    return done.stdout.strip()


@contextmanager
def plain_server() -> Iterator[Server]:
    """Lend a PostgreSQL without the extension: this machine's own, else the embedded one."""
    programs = installed(timescale=False)
    source = running(programs, timescale=False, fsync=fsync()) if programs else _embedded()
    with source as dsn:
        yield Server(dsn, timescale=False, timezone=PLAIN_ZONE)


@contextmanager
def embedded_server() -> Iterator[Server]:
    """Lend the PostgreSQL of the extra `embedded`."""
    with _embedded() as dsn:
        yield Server(dsn, timescale=False, timezone=PLAIN_ZONE)


@contextmanager
def _embedded() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="kitepipe-embedded-") as home, ExitStack() as stack:
        Path(home).chmod(0o755)  # as root the server runs as another user
        try:
            yield stack.enter_context(embedded_dsn(Path(home) / "data"))
        except (UsageError, WarehouseError) as error:
            raise UnavailableError(str(error)) from error
