"""A small Debian tree with PostgreSQL and TimescaleDB, made once and kept in the user's cache.

For root on Debian, where nothing else has the extension. The tree is whole or it is not there:
it is built beside its name and renamed at the end, under a lock.
"""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers import UnavailableError
from tests.servers_local import Programs

SUITE = "trixie"
PACKAGE = "postgresql-17-timescaledb"
BINDIR = "/usr/lib/postgresql/17/bin"
CONTROL = "usr/share/postgresql/17/extension/timescaledb.control"
BUILD_S = 1200.0

Say = Callable[[str], None]


def debian(say: Say) -> Programs:
    """Return the tree's programs, making the tree where it is missing (about a minute)."""
    if os.geteuid() != 0:
        raise UnavailableError("not root: no Debian tree can be made")
    if not Path("/etc/debian_version").exists():
        raise UnavailableError("not Debian: no tree of it can be made")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kitepipe"
    cache.mkdir(parents=True, exist_ok=True)
    tree = cache / f"{SUITE}-{PACKAGE}"
    with _locked(cache / "lock") as lock:
        if not tree.exists():
            say(f"making a Debian tree with TimescaleDB in {tree}: about a minute, once")
            _make(tree, say, lock)
    return Programs(BINDIR, tree)


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """Hold the lock; it lasts as long as any process has the file that this yields open."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def _make(tree: Path, say: Say, lock: int) -> None:
    part = tree.with_name(tree.name + ".part")
    _remove(part)  # nobody else makes it: we hold the lock
    if not shutil.which("debootstrap"):
        say("installing debootstrap")
        _run("apt-get", "-q", "update")
        _run("apt-get", "-q", "install", "-y", "--no-install-recommends", "debootstrap")
    try:
        # It outlives tests that are killed: the lock is its own too, until it has ended.
        _run(
            "debootstrap", "--variant=minbase", f"--include={PACKAGE}", SUITE, str(part), lock=lock
        )
        if not (part / CONTROL).exists():
            raise UnavailableError(f"debootstrap left no {CONTROL}")
        for archive in (part / "var/cache/apt/archives").glob("*.deb"):
            archive.unlink()
    except BaseException:
        _remove(part)
        raise
    part.rename(tree)


def _remove(tree: Path) -> None:
    """Remove a half-made tree, first what an interrupted debootstrap left mounted in it."""
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    inside = [m.split()[1] for m in mounts if m.split()[1].startswith(f"{tree}/")]
    for mount in reversed(inside):
        _run("umount", "--lazy", mount)
    if tree.exists():
        shutil.rmtree(tree)


def _run(*command: str, lock: int | None = None) -> None:
    try:
        subprocess.run(
            command, check=True, text=True, stdin=subprocess.DEVNULL, timeout=BUILD_S, cwd="/",
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, pass_fds=(lock,) if lock else (),
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"},
        )  # fmt: skip
    except subprocess.CalledProcessError as error:
        raise UnavailableError(f"{command[0]} failed: {error.stdout.strip()[-300:]}") from error
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"{command[0]}: not done within {BUILD_S:.0f} s") from error
