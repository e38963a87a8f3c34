"""The box's own troubles: zones, locales, no home, few files, disks that are full or read-only."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kitepipe.sandbox import Sandbox
from tests.box_help import ROOT, Box, Ended
from tests.load_help import candles, with_schema
from tests.sandbox_asking import sandbox
from tests.servers import Rows, looking
from tests.servers_local import can_mount
from tests.staging_help import stored

pytestmark = pytest.mark.faults

WANTED = (
    *("--from", "2026-06-01", "--candle-interval", "day,60minute"),
    *("--exchanges", "NSE", "--tradingsymbols", "NSE:INFY,NSE:SBIN"),
)
_FEW_FILES = (
    "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (48, 48)); "
    "from kitepipe.cli import main; main()"
)


@pytest.fixture
def kite(tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox whose clock stands."""
    with sandbox(api_key=f"box{tmp_path.name}", other_rate_limit=1000) as server:
        yield server


@pytest.fixture(scope="module")
def whole(module_timescale_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """What a run leaves on a box without troubles."""
    with sandbox(api_key="whole", other_rate_limit=1000) as server:
        box = Box(tmp_path_factory.mktemp("whole"), server, with_schema(module_timescale_dsn))
        assert box.kitepipe("run", *WANTED).code == 0
    with looking(module_timescale_dsn) as look:
        return candles(look)


@pytest.mark.parametrize(
    ("environ", "program"),
    [
        ({"TZ": "Pacific/Kiritimati"}, ("-m", "kitepipe")),
        ({"TZ": "America/New_York", "PGTZ": "Asia/Tokyo"}, ("-m", "kitepipe")),
        ({"TZ": "Asia/Kolkata", "PGTZ": "UTC"}, ("-m", "kitepipe")),
        ({"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0"}, ("-m", "kitepipe")),
        ({"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}, ("-m", "kitepipe")),
        ({"HOME": "/nonexistent", "XDG_CONFIG_HOME": "/nonexistent"}, ("-m", "kitepipe")),
        ({}, ("-c", _FEW_FILES)),
    ],
    ids=["+14:00", "-04:00", "+05:30", "C", "latin-1", "no home", "48 files"],
)
def test_a_run_leaves_the_same_on_any_box(
    environ: dict[str, str],
    program: tuple[str, ...],
    kite: Sandbox,
    whole: Rows,
    tmp_path: Path,
    warehouse_dsn: str,
) -> None:
    """Whatever its zone, locale, home and limits: one table; and a second run has nothing to do."""
    box = Box(tmp_path, kite, warehouse_dsn, environ)
    ended = box.kitepipe("run", *WANTED, program=program)
    assert ended.code == 0, ended.err
    with looking(warehouse_dsn) as look:
        assert candles(look) == whole
    again = box.kitepipe("run", *WANTED, "--json", program=program).report
    assert (again["fetch"]["requests"], again["load"]["replies"]) == (0, 0)
    assert box.kitepipe("verify", program=program).code == 0


def _mounted(box: Box, options: str, *args: str) -> Ended:
    """Run a command where the folder `disk` is a mount of its own, which ends with it."""
    script = f'mount {options} "$0" && exec "$@"'
    disk = str(box.folder / "disk")
    command = ["unshare", "--mount", "sh", "-c", script, disk, sys.executable, "-m", "kitepipe"]
    environ = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "PYTHONPATH": str(ROOT),
        "KITEPIPE_API_ROOT": box.kite.url,
        "KITEPIPE_API_KEY": box.kite.options.api_key,
        "KITEPIPE_ACCESS_TOKEN": box.kite.options.token,
        "KITEPIPE_RATE_LIMIT": "1000",
        "KITEPIPE_STAGING": f"{disk}/kitepipe.duckdb",
    }
    ended = subprocess.run(
        [*command, *args], cwd=box.folder, env=environ, capture_output=True, text=True, check=False
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


needs_mounts = pytest.mark.skipif(not can_mount(), reason="mounts need root")


@needs_mounts
def test_a_disk_that_is_full_is_told(kite: Sandbox, tmp_path: Path) -> None:
    """A file system of 2 MB: exit 12 with what to do, and no half of a reply."""
    (tmp_path / "disk").mkdir()
    box = Box(tmp_path, kite)
    minutes = ("--from", "2026-01-01", "--candle-interval", "minute", "--tradingsymbols", "NSE:*")
    ended = _mounted(box, "-t tmpfs -o size=2m none", "fetch", *minutes)
    assert (ended.code, "no room left on its disk" in ended.error) == (12, True)


@needs_mounts
def test_staging_on_a_read_only_disk_is_told(kite: Sandbox, tmp_path: Path) -> None:
    """Exit 12, and the file is as it was; `status` reads it all the same."""
    disk = tmp_path / "disk"
    disk.mkdir()
    box = Box(tmp_path, kite, environ={"KITEPIPE_STAGING": str(disk / "kitepipe.duckdb")})
    assert box.kitepipe("fetch", *WANTED).code == 0
    before = (disk / "kitepipe.duckdb").read_bytes()
    read_only = f"--bind -o ro {disk}"
    ended = _mounted(box, read_only, "fetch", *WANTED, "--refetch")
    assert (ended.code, "kitepipe.duckdb" in ended.error) == (12, True)
    assert _mounted(box, read_only, "status").code == 0
    assert (disk / "kitepipe.duckdb").read_bytes() == before
    assert stored(disk / "kitepipe.duckdb", "select count(*) from reply") == [(4,)]
