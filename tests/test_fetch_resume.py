"""Runs that end early: killed, interrupted, bounded, refused; the next goes on where they ended."""

import os
import signal
import subprocess
import sys
import threading
import time
from datetime import date
from datetime import time as clock_time
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitepipe.errors import AuthenticationError, PlanMissing
from kitepipe.fetch_pool import Pool
from kitepipe.model import Interval, Window
from kitepipe.plan import Bounds
from kitepipe.prepare import fetching
from kitepipe.progress import Silent
from kitepipe.sandbox import Faults, Sandbox
from kitepipe.settings import Settings
from tests.fetch_help import SOME, Watching, asked, coverage, fetch, rows, settings_for, twice
from tests.marks import examples
from tests.sandbox_asking import NOW, ist, sandbox

ROOT = Path(__file__).parents[1]
BEGIN, TODAY = date(2015, 1, 1), NOW.date()
WHOLE = {(symbol, "day"): [Window(BEGIN, TODAY)] for symbol in SOME[:3]}

# A fetch in a process of its own, which ends itself without a goodbye after so many windows.
KILLED = """
import os, sys
from pathlib import Path
from types import SimpleNamespace
from tests.fetch_help import Watching, fetch, settings_for
from tests.sandbox_asking import NOW
url, staging, workers, after = sys.argv[1:]
kite = SimpleNamespace(url=url, now=NOW)
watching = Watching(lambda done: os._exit(9) if done == int(after) else None)
fetch(kite, settings_for(kite, Path(staging), parallel_workers=int(workers)), watching)
"""


def _killed(kite: Sandbox, staging: Path, workers: int, after: int) -> Settings:
    command = [sys.executable, "-c", KILLED, kite.url, str(staging), str(workers), str(after)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 9, ran.stderr
    return settings_for(kite, staging, parallel_workers=workers)


@pytest.mark.parametrize(("workers", "after"), [(1, 1), (1, 5), (8, 4)])
def test_a_killed_run_loses_no_reply(tmp_path: Path, workers: int, after: int) -> None:
    """What was committed is there, and nothing of it is asked again.

    Only what was on its way when the process died is, at most one window a worker.
    """
    with sandbox() as kite:
        told = _killed(kite, tmp_path / "s.duckdb", workers, after)
        staged = rows(told.staging, "select count(*) from reply")[0][0]
        before = len(asked(kite))
        assert staged == after
        report = fetch(kite, told)
        found = asked(kite)
    assert (report.requests, report.exit_code) == (9 - after, 0)
    assert len(twice(found)) == before - after <= workers - 1
    assert coverage(told.staging) == WHOLE


@settings(max_examples=examples(5))
@given(st.lists(st.integers(1, 5), max_size=4))
def test_a_run_in_pieces_asks_what_a_whole_one_does(pieces: list[int]) -> None:
    """--max-requests is exact, and pieces of any size add up: nothing twice, nothing missing."""
    with TemporaryDirectory() as folder, sandbox() as kite:
        told = settings_for(kite, Path(folder, "s.duckdb"), parallel_workers=3)
        left = 9
        for most in pieces:
            report = fetch(kite, told, max_requests=most)
            assert report.requests == min(most, left)
            left -= report.requests
            expected = f"bounded: {left} windows left for the next run" if left else ""
            assert (report.interrupted, report.exit_code) == (expected, 0)
        fetch(kite, told)
        assert (len(asked(kite)), twice(asked(kite))) == (9, [])
        assert coverage(told.staging) == WHOLE


def test_retries_count_as_requests(tmp_path: Path) -> None:
    """The budget is of HTTP requests."""
    with sandbox(faults=Faults(script=["503"] * 3)) as kite:
        told = settings_for(kite, tmp_path / "s.duckdb", parallel_workers=1)
        report = fetch(kite, told, max_requests=5)
        assert (report.requests, report.retries, report.replies) == (5, 3, 2)


def test_until_ends_a_run_by_indias_clock(tmp_path: Path) -> None:
    """What is on its way is finished, and no more is sent."""
    with sandbox() as kite:
        told = settings_for(kite, tmp_path / "s.duckdb", parallel_workers=1)
        late = Watching(lambda done: kite.set_now(ist(2026, 11, 20, 22, 30)) if done == 4 else None)
        report = fetch(kite, told, late, until=clock_time(22, 0))
    assert (report.requests, report.replies) == (4, 4)
    assert report.interrupted == "bounded: 5 windows left for the next run"


@pytest.mark.parametrize(
    ("kind", "error", "advice"),
    [
        ("expired_token", AuthenticationError, "run 'kitepipe login'"),
        ("permission", PlanMissing, "no plan for historical data"),
    ],
)
def test_a_session_that_ends_takes_the_run_with_it(
    tmp_path: Path, kind: str, error: type[Exception], advice: str
) -> None:
    """At once, with the advice that fits; what is staged is kept, and told in the report."""
    with sandbox(faults=Faults(script=["ok", "ok", "ok", kind])) as kite:
        told = settings_for(kite, tmp_path / "s.duckdb", parallel_workers=1)
        with pytest.raises(error, match=advice) as ended:
            fetch(kite, told)
        assert kite.requests.historical == 4
    assert rows(told.staging, "select count(*) from reply") == [(3,)]
    report = ended.value.report  # type: ignore[attr-defined]
    assert (report.replies, report.requests, report.instruments) == (3, 4, 3)


def test_a_dead_session_is_found_before_anything_is_asked(tmp_path: Path) -> None:
    """No dump, no history, no staging file."""
    with sandbox() as kite:
        kite.expire_token()
        with pytest.raises(AuthenticationError):
            fetch(kite, settings_for(kite, tmp_path / "s.duckdb"))
        assert (kite.requests.historical, kite.requests.instruments) == (0, 0)


def _environment(kite: Sandbox, staging: Path) -> dict[str, str]:
    told = {
        "API_ROOT": kite.url,
        "API_KEY": "sandbox_key",
        "ACCESS_TOKEN": "sandbox_token",
        "STAGING": str(staging),
        "RATE_LIMIT": "1000",
        "EXCHANGES": "NSE",
        "TRADINGSYMBOLS": ",".join(SOME[:3]),
        "PARALLEL_WORKERS": "3",
    }
    return {**os.environ, **{f"KITEPIPE_{name}": value for name, value in told.items()}}


@pytest.mark.faults
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_it_soon_and_keeps_what_is_staged(tmp_path: Path, sent: int) -> None:
    """Within two seconds, although a worker waits for an answer and another one to try again."""
    staging = tmp_path / "s.duckdb"
    with sandbox() as kite:
        kite.fail("INFY", "stall")
        kite.fail("TCS", "429")
        command = [sys.executable, "-m", "kitepipe", "fetch"]
        with subprocess.Popen(
            command, cwd=tmp_path, env=_environment(kite, staging), stderr=subprocess.PIPE
        ) as running:
            wanted = time.monotonic() + 30
            while len(asked(kite)) < 3 and time.monotonic() < wanted:
                time.sleep(0.05)
            time.sleep(0.3)
            running.send_signal(sent)
            started = time.monotonic()
            _, told = running.communicate(timeout=20)
            took = time.monotonic() - started
    assert running.returncode == 130, told
    assert took < 2
    assert b"what is staged and loaded is kept" in told
    assert rows(staging, "select count(*) > 0 from reply") == [(True,)]
    assert not (tmp_path / "s.duckdb.run.json").exists()


def test_a_fetch_that_ends_leaves_nobody_asking(tmp_path: Path) -> None:
    """A worker that waits to try again ends with the stage: `run` goes on loading for hours."""

    def interrupt(done: int) -> None:
        raise KeyboardInterrupt

    with sandbox() as kite:
        kite.fail("TCS", "503")
        told = settings_for(kite, tmp_path / "s.duckdb", backoff_base_s=60.0)
        with fetching(told, Bounds(), "run", lambda: kite.now, Silent()) as ready:
            with pytest.raises(KeyboardInterrupt):
                ready.go(Watching(interrupt))
            workers = [one for one in threading.enumerate() if one.name.startswith("fetch-")]
            for worker in workers:
                worker.join(timeout=5)
            assert not any(worker.is_alive() for worker in workers)


def test_jobs_that_nobody_began_are_dropped() -> None:
    """When a pool closes its thread ends with the job in hand."""
    begun, go_on = threading.Event(), threading.Event()

    def work(job: int) -> int:
        begun.set()
        go_on.wait(10)
        return job

    pool: Pool[int, int] = Pool(1, work)
    for job in (1, 2, 3):
        pool.submit(job)
    begun.wait(10)
    pool.close()
    go_on.set()
    found = [outcome.result for _ in range(2) if (outcome := pool.next_outcome(0.5))]
    assert found == [1]


def test_an_interrupt_commits_what_has_come_in(tmp_path: Path) -> None:
    """Replies that were received while the main thread was busy are not thrown away."""

    def interrupt(done: int) -> None:
        if done == 2:
            time.sleep(0.5)  # the other workers' answers come in meanwhile
            raise KeyboardInterrupt

    with sandbox() as kite:
        told = settings_for(kite, tmp_path / "s.duckdb", candle_interval=(Interval.DAY,))
        with pytest.raises(KeyboardInterrupt):
            fetch(kite, told, Watching(interrupt))
        sent = len(asked(kite))
    assert rows(told.staging, "select count(*) from reply") == [(sent,)]
