"""Contracts are asked until their expiry is covered; what left Kite's list before is named."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from kitepipe.model import Instrument, Interval
from kitepipe.pipeline import status
from kitepipe.sandbox import Sandbox
from kitepipe.settings import Settings
from kitepipe.summary import FetchReport
from tests.fetch_help import Watching, asked, fetch, settings_for
from tests.sandbox_asking import ist, sandbox

EXPIRY = date(2026, 11, 23)  # of NIFTY26NOVFUT; the Tuesday after is a holiday
NEAR, FAR = "NFO:NIFTY26NOVFUT", "NFO:NIFTY26DECFUT"
SINCE = date(2026, 11, 2)


@pytest.fixture
def kite() -> Iterator[Sandbox]:
    """A sandbox on the Friday before the expiry."""
    with sandbox(other_rate_limit=1000, now=ist(2026, 11, 20, 20)) as server:
        yield server


@pytest.fixture
def settings(kite: Sandbox, tmp_path: Path) -> Settings:
    """Settings for all NIFTY futures."""
    futures = {"exchanges": ("NFO",), "tradingsymbols": ("NIFTY26*FUT", "NIFTY27*FUT")}
    return settings_for(kite, tmp_path / "a.duckdb", **futures, bootstrap_date=SINCE)


def run(kite: Sandbox, settings: Settings, **bounds: Any) -> FetchReport:
    """Fetch, and forget what was asked before."""
    kite.clear_log()
    return fetch(kite, settings, **bounds)


def tokens(kite: Sandbox) -> list[int]:
    """Return which tokens were asked, in order."""
    return [told.token for told in asked(kite)]


def test_those_that_expire_first_are_asked_first(kite: Sandbox, settings: Settings) -> None:
    """With one worker and few requests to spend, the nearest contracts get them."""
    names = [NEAR, FAR, "NFO:NIFTY27JANFUT"]
    expected = [kite.token_of(name) for name in names]
    one = settings_for(
        kite, settings.staging, exchanges=("NFO",), tradingsymbols=settings.tradingsymbols,
        bootstrap_date=SINCE, parallel_workers=1,
    )  # fmt: skip
    run(kite, one, max_requests=2)
    assert tokens(kite) == expected[:2]
    run(kite, one)
    assert tokens(kite) == expected[2:]


def test_a_contract_is_asked_until_its_expiry_is_covered(kite: Sandbox, settings: Settings) -> None:
    """Also in the night after, until the next dump; then it is whole, and nothing is lost."""
    near = kite.token_of(NEAR)
    run(kite, settings)
    kite.set_now(ist(2026, 11, 23, 15, 45))  # closed, and not settled yet
    run(kite, settings)
    kite.set_now(ist(2026, 11, 24, 7))  # before the dump that lacks it
    assert run(kite, settings).failures == []
    assert near in tokens(kite)
    (told,) = [told for told in asked(kite) if told.token == near]
    assert (told.status, told.window.last) == (200, EXPIRY)
    kite.set_now(ist(2026, 11, 24, 20))
    assert run(kite, settings).failures == []
    assert near not in tokens(kite)
    assert status(settings).lost == []


def test_what_expired_uncovered_is_named_once(kite: Sandbox, settings: Settings) -> None:
    """Gone from the dump, it is not asked under its old token: named with its dates, exit 3."""
    near = kite.token_of(NEAR)
    run(kite, settings)
    kite.set_now(ist(2026, 11, 26, 20))
    report = run(kite, settings)
    (failure,) = report.failures
    assert failure.what == f"{NEAR} day 2026-11-23..2026-11-23"  # the days before are a weekend
    assert "expired on 2026-11-23" in failure.why
    assert (report.exit_code, near in tokens(kite)) == (3, False)
    again = run(kite, settings)
    assert (again.failures, again.exit_code) == ([], 0)
    assert status(settings).lost == [failure]


def test_an_expired_token_is_not_asked_past_the_next_dump(
    kite: Sandbox, settings: Settings
) -> None:
    """A run of the night that is still at work at 08:30 leaves expired contracts alone."""
    near = kite.token_of(NEAR)
    one = replace(settings, parallel_workers=1, candle_interval=(Interval.MINUTE_60, Interval.DAY))
    kite.set_now(ist(2026, 11, 24, 7))

    def move(done: int) -> None:
        if done == 1:
            kite.set_now(ist(2026, 11, 24, 8, 31))

    report = fetch(kite, one, Watching(move))
    assert tokens(kite)[0] == near
    assert near not in tokens(kite)[1:]
    assert len({told.token for told in asked(kite)}) == 3
    assert (report.interrupted, {told.status for told in asked(kite)}) == ("", {200})


def test_what_was_never_reached_is_lost_too(kite: Sandbox, settings: Settings) -> None:
    """A bounded run did not come to it: the dates since it was first seen are named."""
    far = settings_for(
        kite, settings.staging, exchanges=("NFO",), tradingsymbols=(FAR,), bootstrap_date=SINCE
    )
    run(kite, far)
    kite.set_now(ist(2026, 11, 26, 20))
    (failure,) = run(kite, settings).failures
    assert failure.what == f"{NEAR} day 2026-11-20..2026-11-23"


def test_nobody_hears_of_what_is_not_wanted(kite: Sandbox, settings: Settings) -> None:
    """Contracts outside the filters expire in silence."""
    far = settings_for(
        kite, settings.staging, exchanges=("NFO",), tradingsymbols=(FAR,), bootstrap_date=SINCE
    )
    run(kite, far)
    kite.set_now(ist(2026, 11, 26, 20))
    assert run(kite, far).failures == []


def test_a_share_that_was_delisted_is_named_where_it_was_not_covered(
    kite: Sandbox, tmp_path: Path
) -> None:
    """One that was covered until it went is no loss; one that was not is named by interval."""
    both = (Interval.DAY, Interval.MINUTE_60)
    settings = settings_for(
        kite, tmp_path / "b.duckdb", tradingsymbols=("IN*", "TCS"), bootstrap_date=SINCE,
        candle_interval=both,
    )  # fmt: skip
    kite.list_instrument(
        Instrument(77 * 256 + 1, "NSE", "INOLD", "OLD LTD", segment="NSE", exchange_token=77)
    )
    run(kite, settings)
    kite.delist("NSE:INOLD", at=ist(2026, 11, 21, 8, 31))
    kite.delist("NSE:INFY", at=ist(2026, 11, 25, 8, 31))
    kite.set_now(ist(2026, 11, 23, 20))
    assert run(kite, settings).failures == []  # covered on Friday, and no session since
    kite.set_now(ist(2026, 11, 27, 20))
    report = run(kite, settings)
    lost = [f"NSE:INFY {interval} 2026-11-25..2026-11-26" for interval in ("60minute", "day")]
    assert [failure.what for failure in report.failures] == lost
    assert "delisted" in report.failures[0].why


def test_a_change_of_token_is_no_loss(kite: Sandbox, tmp_path: Path) -> None:
    """The series goes on under the new token; a gap in between is asked, not named."""
    settings = settings_for(
        kite, tmp_path / "c.duckdb", tradingsymbols=("INFY",), bootstrap_date=SINCE
    )
    run(kite, settings)
    kite.move_token("NSE:INFY", 99 * 256 + 1, at=ist(2026, 11, 24))
    kite.set_now(ist(2026, 11, 26, 20))
    assert run(kite, settings).failures == []
    assert tokens(kite) == [99 * 256 + 1]


def test_contracts_beyond_the_wanted_days_are_not_asked(kite: Sandbox, settings: Settings) -> None:
    """`expiry_within_days` counts from the day of the run, and leaves alone what never expires."""
    some = replace(settings, exchanges=(), tradingsymbols=("NIFTY26*FUT", "INFY"))
    run(kite, replace(some, expiry_within_days=2))
    assert tokens(kite) == [kite.token_of("NSE:INFY")]
    run(kite, replace(some, expiry_within_days=3))
    assert tokens(kite) == [kite.token_of(NEAR)]
