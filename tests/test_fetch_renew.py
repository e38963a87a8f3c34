"""A long fetch takes its staging file anew now and then, and goes on as if it had not."""

import resource
from datetime import date
from functools import partial
from pathlib import Path

import pytest

from kitepipe import fetch as stage
from kitepipe import pipeline
from kitepipe.errors import StagingError, WarehouseError
from kitepipe.holder import renew
from kitepipe.plan import Bounds
from kitepipe.progress import Silent
from kitepipe.staging import Staging
from kitepipe.staging_replies import ReplyWriter
from tests.fetch_help import coverage, fetch, rows, settings_for
from tests.sandbox_asking import ist, sandbox
from tests.servers_local import free_port


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """The writer seals after each few replies; the file is taken anew at each seal, and noted."""
    noted = []

    def note(staging: Staging) -> bool:
        noted.append(renew(staging))
        return noted[-1]

    monkeypatch.setattr(stage, "ReplyWriter", partial(ReplyWriter, seal_bytes=2000))
    monkeypatch.setattr(stage, "_SEALS_A_SPELL", 1)
    monkeypatch.setattr(stage, "renew", note)
    return noted


def test_a_fetch_goes_on_in_a_file_that_it_takes_anew(
    tmp_path: Path, taken: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """First downloads, and a night that compares with what is staged: what an even fetch stages."""
    whole = []
    for often in (True, False):
        monkeypatch.setattr(stage, "_SEALS_A_SPELL", 1 if often else 1000)
        with sandbox(now=ist(2026, 7, 1, 20), other_rate_limit=1000) as kite:
            settings = settings_for(kite, tmp_path / f"{often}.duckdb")
            fetch(kite, settings)
            kite.set_now(ist(2026, 7, 3, 20))
            assert fetch(kite, settings).failures == []
            whole.append((coverage(settings.staging), rows(settings.staging, _BODIES)))
        assert len(taken) > 5
    assert whole[0] == whole[1]
    assert {windows[0].last for windows in whole[0][0].values()} == {date(2026, 7, 3)}


_BODIES = (
    "select tradingsymbol, first_date, last_date, sha256(body) from body "
    "join reply using (reply_id) join chunk using (chunk_id) order by all"
)


def test_a_file_is_taken_anew_after_so_many_seals(
    tmp_path: Path, taken: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not oftener."""
    monkeypatch.setattr(stage, "_SEALS_A_SPELL", 3)
    with sandbox(now=ist(2026, 7, 1, 20), other_rate_limit=1000) as kite:
        settings = settings_for(kite, tmp_path / "a.duckdb")
        fetch(kite, settings)
    ((seals,),) = rows(settings.staging, "select count(distinct first_reply) from body_sealed")
    assert len(taken) == seals // 3 > 1


def test_why_a_file_could_not_be_taken_again_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: list[bool]
) -> None:
    """Not what came of it: replies that arrive then cannot be committed, and are asked again."""

    def without_handles(staging: Staging) -> bool:
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
        try:
            return staging.renew()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)

    monkeypatch.setattr(stage, "renew", without_handles)
    with sandbox(now=ist(2026, 7, 1, 20), other_rate_limit=1000) as kite:
        settings = settings_for(kite, tmp_path / "a.duckdb")
        with pytest.raises(StagingError, match="Too many open files"):
            fetch(kite, settings)
        monkeypatch.setattr(stage, "renew", renew)
        assert fetch(kite, settings).failures == []
        whole = coverage(settings.staging)
    assert [len(windows) for windows in whole.values()] == [1, 1, 1]


def test_a_run_whose_loaders_read_the_file_keeps_it(
    tmp_path: Path, warehouse_dsn: str, taken: list[bool]
) -> None:
    """What loads beside the fetch shares its database: nothing is let go under its hands."""
    with sandbox(now=ist(2026, 7, 1, 20), other_rate_limit=1000) as kite:
        settings = settings_for(kite, tmp_path / "a.duckdb", dsn=warehouse_dsn)
        report = pipeline.run(settings, Bounds(), Silent(), clock=lambda: kite.now)
    assert (report.fetch.failures, report.load.failures, report.exit_code) == ([], [], 0)
    assert taken == []


def test_a_run_without_its_database_is_a_fetch(tmp_path: Path, taken: list[bool]) -> None:
    """Nobody loads beside it: its memory stays flat too."""
    dsn = f"host=127.0.0.1 port={free_port()} dbname=nobody connect_timeout=2"
    with sandbox(now=ist(2026, 7, 1, 20), other_rate_limit=1000) as kite:
        settings = settings_for(kite, tmp_path / "a.duckdb", dsn=dsn)
        with pytest.raises(WarehouseError):
            pipeline.run(settings, Bounds(from_scratch=True), Silent(), clock=lambda: kite.now)
    assert taken.count(True) > 5
