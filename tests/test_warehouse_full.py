"""A database whose disk is full: a tablespace on a small file system, filled to the last block."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

import pytest
from psycopg2 import sql

from kitepipe.sandbox import Sandbox
from tests.box_help import Box
from tests.load_help import candles, with_schema
from tests.sandbox_asking import sandbox
from tests.servers import Server, Template, looking

pytestmark = pytest.mark.faults

WANTED = (
    *("--from", "2023-01-01", "--candle-interval", "day,60minute"),
    *("--exchanges", "NSE", "--tradingsymbols", "NSE:INFY,NSE:SBIN,NSE:TCS"),
)
_MB = 100  # a database with TimescaleDB takes 20


class _Disk:
    """A small file system that the server sees, and what runs there as root."""

    def __init__(self, server: Server) -> None:
        self.folder = f"/var/tmp/kitepipe-test-{token_hex(4)}"
        with looking(server.dsn) as look:
            ((backend,),) = look("select pg_backend_pid()")
            ((self._data,),) = look("show data_directory")
            self._server = Path(f"/proc/{backend}/stat").read_text().rpartition(")")[2].split()[1]
        self._inside(
            f"mkdir {self.folder} && mount -t tmpfs -o size={_MB}m none {self.folder} && "
            f"mkdir {self.folder}/space && chown --reference={self._data} {self.folder}/space"
        )

    def fill(self) -> None:
        """Leave no block free."""
        with suppress(subprocess.CalledProcessError):  # it ends when there is none
            self._inside(f"dd if=/dev/zero of={self.folder}/ballast bs=8k")

    def make_room(self) -> None:
        """Take away what fills it."""
        self._inside(f"rm {self.folder}/ballast")

    def remove(self) -> None:
        """Unmount it."""
        self._inside(f"umount {self.folder} && rmdir {self.folder}")

    def _inside(self, script: str) -> None:
        enter = ["nsenter", f"--target={self._server}", "--mount", "--root", "--wd=/"]
        subprocess.run([*enter, "sh", "-c", script], check=True, capture_output=True, cwd="/")


@contextmanager
def _space(disk: _Disk, server: Server) -> Iterator[str]:
    """Lend a tablespace on that disk: yields its name."""
    name = f"kitepipe_test_{token_hex(4)}"
    space, location = sql.Identifier(name), sql.Literal(f"{disk.folder}/space")
    with looking(server.dsn) as look:
        look(sql.SQL("create tablespace {} location {}").format(space, location))
        try:
            yield name
        finally:
            look(sql.SQL("drop tablespace {}").format(space))


@pytest.fixture
def disk(timescale_template: Template) -> Iterator[_Disk]:
    """A disk of the server's own, where the server is a process of this machine and we are root."""
    try:
        made = _Disk(timescale_template.server)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no file system can be given to the server: {error}")
    yield made
    made.remove()


@pytest.fixture
def dsn(disk: _Disk, timescale_template: Template) -> Iterator[str]:
    """A database on that disk."""
    with (
        _space(disk, timescale_template.server) as space,
        timescale_template.database(space) as made,
    ):
        yield made


@pytest.fixture
def kite(tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox whose clock stands."""
    with sandbox(api_key=f"full{tmp_path.name}", other_rate_limit=1000) as server:
        yield server


def test_a_full_disk_of_the_database_ends_the_load_and_loses_nothing(
    kite: Sandbox, disk: _Disk, dsn: str, plain_dsn: str, tmp_path: Path
) -> None:
    """Exit 13 with the server's words; with room again, a load leaves what it always would."""
    box = Box(tmp_path, kite, with_schema(dsn))
    assert box.kitepipe("fetch", *WANTED).code == 0
    disk.fill()
    full = box.kitepipe("load")
    assert (full.code, "No space left on device" in full.error) == (13, True), full.err
    disk.make_room()  # without any, PostgreSQL may let nobody in who looks
    assert _is_consistent(dsn)
    assert box.kitepipe("load").code == 0
    assert box.kitepipe("verify").code == 0
    box.dsn = with_schema(plain_dsn)
    assert box.kitepipe("load").code == 0
    with looking(dsn) as look, looking(plain_dsn) as beside:
        assert candles(look) == candles(beside)


def _is_consistent(dsn: str) -> bool:
    """Tell whether every candle is one that its series row counts."""
    with looking(dsn) as look:
        counted = "select coalesce(sum(candles), 0) from kite_series"
        return look("select count(*) from kite_ohlcv_historic") == look(counted)
