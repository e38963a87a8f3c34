"""PostgreSQL from programs on this machine: a cluster in a fresh folder, on a free loopback port.

A server started here never outlives the tests: it is stopped by its own process, and where the
tests are killed it gets their death as a signal.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psycopg2

from tests.servers import UnavailableError, looking

START_S = 60.0
STOP_S = 30.0
_OWN = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_wal_size": "2GB"}
_UNSAFE = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
# A server whose files lie in memory takes a tenth less CPU for a test: disks look long for the
# places of a database's thousand small files.
_MEMORY = Path("/dev/shm")
_MEMORY_BYTES = 8_000_000_000
_WITH_MEMORY = f'mount --bind {_MEMORY} "$0{_MEMORY}" && exec "$@"'
_TIMESCALE = {"shared_preload_libraries": "timescaledb", "timescaledb.telemetry_level": "off"}


@dataclass(frozen=True, slots=True)
class Programs:
    """A PostgreSQL's programs: `bindir` as seen from `root`, which is what to chroot into."""

    bindir: str
    root: Path = Path("/")

    @property
    def _chrooted(self) -> bool:
        return self.root != Path("/")

    def owner(self) -> tuple[int, int] | None:
        """Return uid and gid of the server's own user; None: as we are (we are not root)."""
        if os.geteuid() != 0:
            return None
        passwd = (self.root / "etc/passwd").read_text(encoding="utf-8")
        users = {line.split(":")[0]: line.split(":") for line in passwd.splitlines() if line}
        user = users.get("postgres") or users["nobody"]
        return int(user[2]), int(user[3])

    def command(self, program: str, *arguments: str) -> list[str]:
        """Return the command line that runs one of the programs as the server's own user."""
        owner = self.owner()
        prefix: list[str] = []
        if owner and self._chrooted:
            if can_mount():
                prefix = ["unshare", "--mount", "sh", "-c", _WITH_MEMORY, str(self.root)]
            prefix += ["chroot", f"--userspec={owner[0]}:{owner[1]}", str(self.root)]
        elif owner:
            prefix = ["setpriv", f"--reuid={owner[0]}", f"--regid={owner[1]}", "--clear-groups"]
        if self._chrooted or shutil.which("setpriv"):
            prefix += ["setpriv", "--pdeathsig", "INT"]
        return [*prefix, f"{self.bindir}/{program}", *arguments]

    @contextmanager
    def home(self, *, in_memory: bool) -> Iterator[Path]:
        """Lend a fresh folder of the server's own user, in memory if asked and there is some."""
        parent = (memory() if in_memory else None) or Path(tempfile.gettempdir())
        if self._chrooted and not (parent == _MEMORY and can_mount()):
            parent = self.root / "var/tmp"
        _sweep(parent)
        home = Path(tempfile.mkdtemp(prefix=f"kitepipe-test-{os.getpid()}-", dir=parent))
        try:
            if owner := self.owner():
                os.chown(home, *owner)
            yield home
        finally:
            shutil.rmtree(home)

    def inside(self, path: Path) -> str:
        """Return `path` as the programs see it."""
        return f"/{path.relative_to(self.root)}" if path.is_relative_to(self.root) else str(path)


def memory() -> Path | None:
    """Return a folder in memory, where there is enough of it."""
    if not _MEMORY.is_mount() or os.statvfs(_MEMORY).f_flag & os.ST_NOEXEC:
        return None
    return _MEMORY if shutil.disk_usage(_MEMORY).free > _MEMORY_BYTES else None


@cache
def can_mount() -> bool:
    """Return whether a process may have mounts of its own, which end with it."""
    tried = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    return tried.returncode == 0


def _sweep(parent: Path) -> None:
    """Remove what killed runs left: their servers died with them, their folders did not."""
    for home in parent.glob("kitepipe-test-*-*"):
        pid = home.name.split("-")[2]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists() and Path("/proc/self").exists():
            shutil.rmtree(home, ignore_errors=True)


@contextmanager
def running(programs: Programs, *, timescale: bool, fsync: bool = False) -> Iterator[str]:
    """Run a new cluster: yields the DSN of its maintenance database."""
    with programs.home(in_memory=not fsync) as home:
        data = programs.inside(home / "data")
        made = subprocess.run(
            programs.command(
                "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale",
                "--no-sync",
            ),
            capture_output=True, text=True, check=False, cwd="/", env=_ENVIRONMENT,
        )  # fmt: skip
        if made.returncode:
            raise UnavailableError(f"initdb: {made.stderr.strip()[-300:]}")
        settings = {**_OWN, **({} if fsync else _UNSAFE), **(_TIMESCALE if timescale else {})}
        with (home / "log").open("wb") as log:
            process, dsn = _start(programs, data, settings, home / "log", log.fileno())
        try:
            yield dsn
        finally:
            _stop(process)


_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}


def _start(
    programs: Programs, data: str, settings: dict[str, str], log: Path, output: int
) -> tuple[subprocess.Popen[bytes], str]:
    """Start the server on a free port; another port where somebody was quicker."""
    for _ in range(3):
        port = free_port()
        options = [f"-c{key}={value}" for key, value in {**settings, "port": str(port)}.items()]
        process = subprocess.Popen(
            programs.command("postgres", "-D", data, *options),
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/", env=_ENVIRONMENT,
            start_new_session=True,  # Ctrl-C is for the tests: they stop their server afterwards
        )  # fmt: skip
        dsn = f"host=127.0.0.1 port={port} user=postgres dbname=postgres"
        try:
            if wait_ready(dsn, process):
                return process, dsn
        except BaseException:
            _stop(process)
            raise
    raise UnavailableError(f"postgres does not start: {log.read_text(errors='replace')[-300:]}")


def wait_ready(dsn: str, process: subprocess.Popen[bytes] | None = None) -> bool:
    """Wait until the server answers; False: its process ended instead."""
    deadline = time.monotonic() + START_S
    while process is None or process.poll() is None:
        with suppress(psycopg2.OperationalError), looking(dsn):
            return True
        if time.monotonic() > deadline:
            raise UnavailableError(f"no answer within {START_S:.0f} s: {dsn}")
        time.sleep(0.05)
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stop fast, then at once; by SIGKILL the server's children would stay."""
    for number in (signal.SIGINT, signal.SIGQUIT):
        process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
            return


def free_port() -> int:
    """Return a loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def installed(*, timescale: bool) -> Programs | None:
    """Find PostgreSQL's programs on this machine, newest first; with the extension if asked."""
    bindirs = sorted(Path("/usr/lib/postgresql").glob("[0-9]*/bin"), key=_version, reverse=True)
    if found := shutil.which("initdb"):
        bindirs.append(Path(found).resolve().parent)
    fitting = (b for b in bindirs if (b / "initdb").exists())
    chosen = next((b for b in fitting if not timescale or _has_timescale(b)), None)
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        return None  # PostgreSQL refuses to run as root
    return Programs(str(chosen)) if chosen else None


def _version(bindir: Path) -> int:
    return int(bindir.parent.name)


def _has_timescale(bindir: Path) -> bool:
    home, version = bindir.parent, bindir.parent.name
    shares = (Path("/usr/share/postgresql") / version, home / "share/postgresql", home / "share")
    return any((share / "extension/timescaledb.control").exists() for share in shares)
