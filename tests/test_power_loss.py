"""Power loss: what a fetch has reported as staged is on the disk, whatever the cache still holds.

The staging file lies on an ext4 file system in an image of its own. What that image holds at an
instant is what a disk would hold: the rest is in the page cache of the mounted file system. The
fetch is stopped, the image copied, and the copy mounted as after a crash.
"""

import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kitepipe.sandbox import Sandbox
from tests.box_help import Box
from tests.sandbox_asking import sandbox
from tests.servers_local import can_mount
from tests.staging_help import stored

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(not can_mount(), reason="mounts need root"),
]

WANTED = (
    *("--from", "2024-06-01", "--candle-interval", "day,60minute,30minute"),
    *("--exchanges", "NSE", "--tradingsymbols", "NSE:INFY,NSE:SBIN"),
)
_IMAGE_MB = 24
_REPORTED = re.compile(r'"logger": "kitepipe.fetch_intake".*candles"')
# The journal and the page cache are written out every so many seconds only, unless they must be.
_LAZILY = "loop,commit=300"


def _run(*command: object) -> None:
    done = subprocess.run([str(word) for word in command], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


@contextmanager
def mounted(image: Path, folder: Path) -> Iterator[None]:
    """Mount an image, as a machine does that comes up again."""
    folder.mkdir(exist_ok=True)
    _run("mount", "-o", _LAZILY, image, folder)
    try:
        yield
    finally:
        _run("umount", folder)


@pytest.fixture
def kite(tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox that takes a while for each answer: there is time to look."""
    with sandbox(api_key=f"power{tmp_path.name}", latency_ms=(5.0, 40.0)) as server:
        yield server


def test_what_was_reported_as_staged_is_on_the_disk(kite: Sandbox, tmp_path: Path) -> None:
    """From the first reply on: each copy holds them, and a fetch goes on from there."""
    image, disk = tmp_path / "disk.img", tmp_path / "disk"
    with image.open("wb") as file:
        file.truncate(_IMAGE_MB << 20)
    _run("mkfs.ext4", "-q", "-F", image)
    box = Box(tmp_path, kite, environ={"KITEPIPE_STAGING": str(disk / "kitepipe.duckdb")})
    copies: list[tuple[int, Path]] = []
    with mounted(image, disk):
        with box.started("-v", "fetch", *WANTED) as process:
            assert process.stderr is not None
            lines = (line for line in process.stderr if _REPORTED.search(line))
            for reported, _ in enumerate(lines, start=1):
                if reported in (1, 2, 5, 9):
                    process.send_signal(signal.SIGSTOP)
                    copies.append((reported, tmp_path / f"{reported}.img"))
                    shutil.copyfile(image, copies[-1][1])
                    process.send_signal(signal.SIGCONT)
            assert process.wait(timeout=60) == 0
        whole = stored(disk / "kitepipe.duckdb", _BODIES)
    assert len(copies) == 4
    for reported, copy in copies:
        with mounted(copy, disk):
            kept = stored(disk / "kitepipe.duckdb", _BODIES)
            assert len(kept) >= reported, f"{reported} replies were reported"
            assert set(kept) <= set(whole)
            assert box.kitepipe("fetch", *WANTED).code == 0
            assert stored(disk / "kitepipe.duckdb", _BODIES) == whole
        copy.unlink()


_BODIES = """
select exchange, tradingsymbol, interval, first_date, last_date, body
from reply inner join chunk using (chunk_id) inner join body using (reply_id)
order by all
"""
