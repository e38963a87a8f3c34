"""A new staging file beside a full warehouse asks only for what the warehouse does not cover."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from urllib.parse import unquote_plus

import pytest

from kitepipe import pipeline
from kitepipe.config import Settings
from kitepipe.errors import UsageError, WarehouseError
from kitepipe.model import Instrument, Interval
from kitepipe.plan import Bounds
from kitepipe.progress import Silent
from kitepipe.sandbox import Sandbox
from kitepipe.staging import Staging
from kitepipe.staging_series import select_known
from kitepipe.summary import RunReport
from tests.sandbox_asking import ist, sandbox
from tests.servers import Look

LATE = ist(2026, 11, 17, 20)
NOWHERE = "host=127.0.0.1 port=1 dbname=nowhere"


@pytest.fixture
def kite() -> Iterator[Sandbox]:
    """A sandbox on a Tuesday evening that is past, for the earlier of two clocks counts."""
    with sandbox(other_rate_limit=1000, now=LATE, api_key="adopt") as server:
        yield server


@pytest.fixture
def settings(kite: Sandbox, tmp_path: Path, timescale_dsn: str) -> Settings:
    """Two instruments by day, into an empty TimescaleDB."""
    return Settings(
        api_root=kite.url,
        api_key="adopt",
        access_token=kite.access_token,
        rate_limit=1000,
        staging=tmp_path / "one.duckdb",
        dsn=timescale_dsn,
        candle_interval=(Interval.DAY,),
        tradingsymbols=("NSE:INFY", "NSE:M&M"),
    )


def _run(settings: Settings, bounds: Bounds | None = None) -> RunReport:
    with_schema = pipeline.apply_schema(settings)
    assert with_schema.edition
    return pipeline.run(settings, bounds or Bounds(), Silent())


def test_a_new_staging_file_asks_only_what_the_warehouse_lacks(
    kite: Sandbox, settings: Settings, tmp_path: Path
) -> None:
    """With a lost staging file the next run asks the new days alone, not thirty years again."""
    _run(settings)
    kite.set_now(ist(2026, 11, 19, 20))
    kite.clear_log()
    fresh = replace(settings, staging=tmp_path / "two.duckdb")

    report = _run(fresh)

    assert kite.requests.historical == 2
    assert all(
        "from=2026-11-17" in unquote_plus(entry.path)
        for entry in kite.log
        if entry.kind == "historical"
    )
    assert report.load.new == 4  # 18 and 19 November, of two instruments


def test_from_scratch_asks_everything(kite: Sandbox, settings: Settings, tmp_path: Path) -> None:
    """--from-scratch leaves the warehouse out of it, and the load finds all candles equal."""
    first = _run(settings)
    kite.set_now(LATE + timedelta(minutes=1))
    fresh = replace(settings, staging=tmp_path / "two.duckdb")

    report = _run(fresh, Bounds(from_scratch=True))

    assert report.fetch.requests >= 12
    assert (report.load.new, report.load.equal) == (0, first.load.new)


def test_a_rebased_history_shows_itself_against_the_warehouse(
    kite: Sandbox, settings: Settings, tmp_path: Path, look: Callable[..., list[tuple[object, ...]]]
) -> None:
    """A split between the loss of the old file and the first run of the new one is noticed."""
    _run(settings)
    kite.split("NSE:INFY", date(2026, 11, 18), 2.0)
    kite.set_now(ist(2026, 11, 19, 20))
    fresh = replace(settings, staging=tmp_path / "two.duckdb")

    report = _run(fresh)

    assert [text.split(":")[1] for text in report.fetch.rebased] == ["INFY day"]
    assert report.load.failures == []
    assert pipeline.verify(fresh, Silent()).differing == 0


def test_without_the_warehouse_an_empty_staging_file_is_not_filled_blindly(
    kite: Sandbox, settings: Settings
) -> None:
    """A warehouse that is down ends the run with exit 13 and names --from-scratch."""
    down = replace(settings, dsn=NOWHERE)

    with pytest.raises(WarehouseError, match="--from-scratch") as caught:
        pipeline.fetch(down, Bounds(), Silent())

    assert caught.value.exit_code == 13
    assert kite.requests.historical == 0


def test_what_is_wanted_later_is_adopted_too(
    kite: Sandbox, settings: Settings, tmp_path: Path
) -> None:
    """A staging file that knows one instrument adopts the next one as well."""
    _run(settings)
    fresh = replace(settings, staging=tmp_path / "two.duckdb")
    _run(replace(fresh, tradingsymbols=("NSE:INFY",)))
    kite.set_now(ist(2026, 11, 19, 20))
    kite.clear_log()

    report = _run(fresh)

    assert kite.requests.historical == 2
    assert report.load.new == 4


def test_what_another_source_has_is_not_adopted(settings: Settings, look: Look) -> None:
    """Candles of Kite itself in the database: the sandbox's are not asked to go beside them."""
    pipeline.apply_schema(settings)
    look("update kite_setup set source = 'https://api.kite.trade'")

    with pytest.raises(
        UsageError, match=r"of https://api\.kite\.trade, and these are of a sandbox"
    ):
        pipeline.fetch(settings, Bounds(), Silent())


def test_the_warehouse_is_looked_at_once(settings: Settings) -> None:
    """Where it had nothing, that is noted: planning again does not need it."""
    pipeline.apply_schema(settings)
    planned = pipeline.plan_fetch(settings, Bounds())
    down = replace(settings, dsn=NOWHERE)

    assert pipeline.plan_fetch(down, Bounds()) == planned
    with pytest.raises(WarehouseError, match="--from-scratch"):
        pipeline.plan_fetch(replace(down, tradingsymbols=("NSE:SBIN",)), Bounds())


def test_a_new_listing_does_not_need_the_warehouse(kite: Sandbox, settings: Settings) -> None:
    """What joined the list since the first dump is asked whole while the warehouse is down."""
    _run(settings)
    token = 88_888 * 256 + 1
    newcomer = Instrument(token, "NSE", "NEWCOMER", segment="NSE", exchange_token=88_888)
    kite.list_instrument(newcomer, first_day=date(2026, 11, 18), at=ist(2026, 11, 18, 8, 30))
    kite.set_now(ist(2026, 11, 19, 20))
    down = replace(settings, dsn=NOWHERE, tradingsymbols=("NSE:INFY", "NSE:NEWCOMER"))

    report = pipeline.fetch(down, Bounds(), Silent())

    assert report.failures == []
    assert report.instruments == 2


def test_the_first_candle_is_adopted_too(settings: Settings, tmp_path: Path) -> None:
    """Where history begins is known as before: at the first candle, not where asking began."""
    young = replace(settings, tradingsymbols=("NSE:ETERNAL",))
    _run(young)
    fresh = replace(young, staging=tmp_path / "two.duckdb")
    pipeline.plan_fetch(fresh, Bounds())

    firsts = []
    for file in (young.staging, fresh.staging):
        with Staging.read(file) as staging, staging.cursor() as cursor:
            (known,) = select_known(cursor, oi=False).values()
            firsts.append(known.known.first_session)

    assert firsts == [date(2021, 7, 23)] * 2
