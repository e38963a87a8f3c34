"""Status and doctor: what they tell of a box at each stage of its life."""

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from kitepipe import pipeline
from kitepipe.cli.render import text_of
from kitepipe.holder import is_awaited, reading
from kitepipe.plan import Bounds
from kitepipe.progress import Silent
from kitepipe.sandbox import Sandbox
from tests.box_help import Box
from tests.load_help import Hand, with_schema
from tests.sandbox_asking import sandbox
from tests.servers_local import free_port
from tests.staging_help import other


@pytest.fixture
def kite(tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox by the real clock, with a key of its own."""
    key = f"key{tmp_path.name}{os.getpid()}"
    with sandbox(api_key=key, other_rate_limit=1000, now=None) as server:
        yield server


def test_status_tells_what_is_staged_and_what_is_loaded(
    kite: Sandbox, tmp_path: Path, plain_dsn: str
) -> None:
    """Nothing, then staged, then loaded; a database that is down is a warning."""
    box = Box(tmp_path, kite, with_schema(plain_dsn))
    settings = box.settings(tradingsymbols=("NSE:INFY", "NSE:SBIN"))
    assert "nothing is staged" in pipeline.status(settings).warnings[0]
    pipeline.fetch(settings, Bounds(first=date(2026, 11, 2)), Silent())
    staged = pipeline.status(settings)
    assert (staged.unloaded, staged.warehouse_candles, len(staged.intervals)) == (2, 0, 1)
    new = pipeline.load(settings, Silent()).new
    loaded = pipeline.status(settings)
    assert (loaded.unloaded, loaded.warehouse_candles, loaded.quarantined) == (0, new, 0)
    down = pipeline.status(replace(settings, dsn=f"host=127.0.0.1 port={free_port()} dbname=x"))
    assert (down.exit_code, down.unloaded, len(down.warnings)) == (0, None, 1)


def test_status_names_re_based_series(tmp_path: Path, plain_dsn: str) -> None:
    """Which series, by what factor, and on which session it showed."""
    hand = Hand(tmp_path / "a.duckdb", with_schema(plain_dsn))
    hand.prices(0, 9, 100)
    hand.prices(0, 9, 50, minute=1, rebase=0.5)
    told = "NSE:INFY day by 0.5 on 2026-11-23 12:01 IST, seen on 2026-01-05"
    assert pipeline.status(hand.settings).rebased == [f"{told}, not loaded yet"]
    hand.load()
    assert pipeline.status(hand.settings).rebased == [told]


def test_doctor_checks_each_thing_and_ends_with_the_first_that_fails(
    kite: Sandbox, tmp_path: Path, plain_dsn: str
) -> None:
    """A database without the schema is 13, a refused session 10; then all is well."""
    settings = Box(tmp_path, kite, plain_dsn).settings()
    report = pipeline.doctor(settings)
    assert [check.name for check in report.checks if check.ok is False] == ["warehouse"]
    assert report.exit_code == 13
    assert pipeline.doctor(replace(settings, access_token="dead")).exit_code == 10
    with_schema(plain_dsn)
    report = pipeline.doctor(settings)
    assert (report.exit_code, {check.name for check in report.checks if check.ok}) == (
        0,
        {"configuration", "session", "kite", "clock", "server", "schema"},
    )


_FETCHING = """
with (
    asking(sys.argv[2], sys.argv[3], wait=False),
    writing(Path(sys.argv[1]), sys.argv[2], "fetch", wait=False),
):
    say("at work")
    hear()
"""


def test_status_of_an_older_copy_counts_what_waits(tmp_path: Path, plain_dsn: str) -> None:
    """The database knows replies that it lacks: they are told, and make up for none that waits."""
    hand = Hand(tmp_path / "a.duckdb", with_schema(plain_dsn))
    hand.prices(0, 4, 100)
    pipeline.backup(hand.settings, tmp_path / "b.duckdb", Silent())
    hand.prices(5, 9, 100, minute=1)
    hand.load()
    (tmp_path / "b.duckdb").replace(tmp_path / "a.duckdb")
    before = pipeline.status(hand.settings)
    assert (before.unloaded, before.warnings[0][:26]) == (0, "the database knows 1 repli")
    hand.prices(5, 9, 100, minute=2)
    assert pipeline.status(hand.settings).unloaded == 1
    assert hand.load().replies == 1


def test_doctor_sees_a_log_without_its_file(kite: Sandbox, tmp_path: Path) -> None:
    """The next fetch would refuse it: so does the doctor (exit 12)."""
    settings = Box(tmp_path, kite).settings()
    (tmp_path / "kitepipe.duckdb.wal").write_bytes(b"a log")
    report = pipeline.doctor(settings)
    assert [check.name for check in report.checks if check.ok is False] == ["staging"]
    assert report.exit_code == 12


def test_doctor_says_what_to_do_about_a_clock_that_is_off(tmp_path: Path) -> None:
    """Kite is in November while this machine is not: which clock, by how much, and exit 3."""
    with sandbox(api_key=f"key{tmp_path.name}{os.getpid()}", other_rate_limit=1000) as kite:
        report = pipeline.doctor(Box(tmp_path, kite).settings())
    [clock] = [check for check in report.checks if check.name == "clock"]
    assert (clock.ok, clock.exit_code) == (False, 3)
    assert "minutes against Kite's: set this machine's" in clock.detail


def test_status_says_that_gaps_were_not_looked_for(kite: Sandbox, tmp_path: Path) -> None:
    """While a run is at work nobody can: no gap is told, and that too."""
    settings = Box(tmp_path, kite).settings()
    hold = """
with writing(Path(sys.argv[1]), API_ROOT, "fetch", wait=False):
    say("held")
    hear()
"""
    with other(hold, settings.staging) as process:
        assert process.heard() == "held"
        report = pipeline.status(settings, gaps=True)
        assert report.gaps is None
        assert report.warnings == [
            "gaps were not looked for: come again when nobody writes the file"
        ]
        assert pipeline.status(settings).warnings == []


def test_status_says_that_somebody_waits_and_counts_nothing(tmp_path: Path) -> None:
    """A reader holds the file and a fetch waits for it: what is staged is not known, and not 0."""
    hand = Hand(tmp_path / "a.duckdb", "")
    waits = """
with writing(Path(sys.argv[1]), API_ROOT, "fetch", wait=True):
    pass
"""
    with reading(hand.settings.staging, wait=False), other(waits, hand.settings.staging) as process:
        while not is_awaited(hand.settings.staging):
            assert process.process.poll() is None
        report = pipeline.status(replace(hand.settings, dsn=None))
    told = f"staging {hand.settings.staging}: another process waits for it; come again"
    assert report.warnings == [f"{told} when it is done"]
    assert not [line for line in text_of("status", report) if "instruments" in line]


def test_a_fetch_under_way_is_no_fault_to_doctor(kite: Sandbox, tmp_path: Path) -> None:
    """It says who holds the staging file, and does not ask Kite with the same key meanwhile."""
    settings = Box(tmp_path, kite).settings()
    with other(_FETCHING, settings.staging, settings.api_root, settings.api_key) as process:
        assert process.heard() == "at work"
        report = pipeline.doctor(settings)
    found = {check.name: (check.ok, check.detail) for check in report.checks}
    assert report.exit_code == 0
    assert found["staging"][0]
    assert "held by 'kitepipe fetch'" in found["staging"][1]
    assert found["kite"][0] is None
    assert "another kitepipe asks Kite" in found["kite"][1]
