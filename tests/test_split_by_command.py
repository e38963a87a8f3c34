"""Split, bonus and dividend by the commands alone: `sandbox --split`, then `run`."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.end_state_help import differing, table
from tests.load_help import with_schema
from tests.servers import Look, Template, looking
from tests.servers_local import free_port

# A split 2:1, a bonus of one for two, a dividend of about 5 %.
RATIOS = {"INFY": 2, "ITC": 1.5, "TCS": 1.05}
KITEPIPE = [sys.executable, "-m", "kitepipe"]


@contextmanager
def _serving(port: int, day: str, *more: str) -> Iterator[None]:
    """Serve Kite's protocol on the evening of a day."""
    command = [*KITEPIPE, "sandbox", "--port", str(port), "--rate-limit", "0"]
    command += ["--now", f"{day} 20:00", *more]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout
        assert process.stdout.readline().startswith(b"listening")
        yield
        process.terminate()


def _run(port: int, folder: Path, dsn: str, staging: str) -> str:
    """Run as a user does and return the report; a run that is not complete fails."""
    folder.mkdir(exist_ok=True)
    environ = {name: value for name, value in os.environ.items() if name[:9] != "KITEPIPE_"}
    environ |= {
        "KITEPIPE_API_ROOT": f"http://127.0.0.1:{port}",
        "KITEPIPE_API_KEY": "sandbox_key",
        "KITEPIPE_ACCESS_TOKEN": "sandbox_token",
        "KITEPIPE_RATE_LIMIT": "1000",
        "KITEPIPE_DSN": dsn,
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    command = [*KITEPIPE, "run", "--staging", staging, "--tradingsymbols", ",".join(RATIOS)]
    command += ["--candle-interval", "day,60minute", "--bootstrap-date", "2025-06-01"]
    done = subprocess.run(
        command, env=environ, cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_split_bonus_and_dividend_are_noticed_by_the_next_run(
    tmp_path: Path, warehouse_dsn: str, timescale_template: Template, look: Look
) -> None:
    """The ratio is on record, and the table is that of a download made afterwards."""
    port, ex_date = free_port(), "2026-11-19"
    dsn = warehouse_dsn
    splits = [f"--split={symbol}:{ex_date}:{ratio}" for symbol, ratio in RATIOS.items()]
    with _serving(port, "2026-11-18"):
        _run(port, tmp_path, dsn, "s.duckdb")
    with _serving(port, ex_date, *splits), timescale_template.database() as other:
        _run(port, tmp_path, dsn, "s.duckdb")
        _run(port, tmp_path, with_schema(other), "fresh.duckdb")
        with looking(other) as inside:
            assert differing(table(look), table(inside)) == []
    noted = look(
        "select tradingsymbol, avg(ratio), count(*) from kite_rebases "
        "join kite_instruments using (instrument_id) group by 1 order by 1"
    )
    expected = [(symbol, pytest.approx(1 / ratio, rel=2e-3), 2) for symbol, ratio in RATIOS.items()]
    assert noted == expected
