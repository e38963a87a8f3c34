"""The sandbox rewrites history as Kite does: splits, corrections, odd rows."""

from collections.abc import Iterator
from datetime import date, timedelta

import pytest

from kitepipe.sandbox import Sandbox, Split
from tests.sandbox_asking import NOW, Candle, candles, ist, sandbox


@pytest.fixture
def kite() -> Iterator[Sandbox]:
    """A sandbox without a limit."""
    with sandbox() as running:
        yield running


def _stamps(found: list[Candle]) -> list[str]:
    return [one[0] for one in found]


@pytest.mark.parametrize("interval", ["day", "15minute"])
def test_a_split_divides_what_lies_before_it(kite: Sandbox, interval: str) -> None:
    """From 08:00 IST of the ex-date: prices by the ratio to 0.05, volumes times the ratio."""
    window = ("2026-11-17", "2026-11-20")
    raw = candles(kite, "INFY", interval, *window)
    kite.split("INFY", date(2026, 11, 19), 2)
    kite.set_now(ist(2026, 11, 19, 7, 59, 59))
    unsplit = candles(kite, "INFY", interval, "2026-11-17", "2026-11-18")
    kite.set_now(NOW)
    split = candles(kite, "INFY", interval, *window)
    for before, after in zip(raw, split, strict=True):
        ratio = 2 if before[0] < "2026-11-19" else 1
        expected = [before[0], *(price / ratio for price in before[1:5]), before[5] * ratio]
        assert after == pytest.approx(expected, abs=0.026) if ratio == 2 else after == before
    assert unsplit == raw[: len(unsplit)]
    assert all(round(price * 100) % 5 == 0 for one in split for price in one[1:5])


def test_splits_may_be_given_at_the_start() -> None:
    """SandboxOptions.splits does what the method does."""
    with sandbox(splits=(Split("INFY", date(2026, 11, 19), 5),)) as kite, sandbox() as plain:
        window = ("2026-11-18", "2026-11-18")
        volumes = [candles(one, "INFY", "day", *window)[0][5] for one in (kite, plain)]
    assert volumes[0] == volumes[1] * 5


def test_a_corrected_candle_changes_vanishes_or_appears(kite: Sandbox) -> None:
    """From its instant on, and no other candle with it."""
    window = ("2026-11-16", "2026-11-20")
    old = candles(kite, "INFY", "day", *window)
    kite.correct("INFY", "day", ist(2026, 11, 17), volume=7)
    kite.correct("INFY", "day", ist(2026, 11, 18), gone=True)
    kite.correct("INFY", "day", ist(2026, 11, 19), close=1, since=NOW + timedelta(hours=1))
    kite.set_now(NOW + timedelta(minutes=59))
    now = candles(kite, "INFY", "day", *window)
    assert now == [old[0], [*old[1][:5], 7], *old[3:]]
    kite.set_now(NOW + timedelta(minutes=60))
    assert candles(kite, "INFY", "day", *window)[2][4] == 1
    kite.correct("INFY", "day", ist(2026, 11, 14), close=100, volume=3)
    added = candles(kite, "INFY", "day", "2026-11-13", "2026-11-16")[1]
    assert added == ["2026-11-14T00:00:00+0530", 100, 100, 100, 100, 3]


def test_a_raw_correction_may_be_nonsense(kite: Sandbox) -> None:
    """For tests of quarantine: any JSON in a candle's place."""
    kite.correct("INFY", "minute", ist(2026, 11, 20, 9, 15), raw='{"open":[null]}')
    found = candles(kite, "INFY", "minute", "2026-11-20", "2026-11-20")
    assert found[0] == {"open": [None]}


def test_day_candles_may_carry_the_old_stamp() -> None:
    """Old replies stamp a day candle 09:15; a correction still finds it."""
    with sandbox(day_stamp="09:15:00") as kite:
        kite.correct("INFY", "day", ist(2026, 11, 20), volume=7)
        found = candles(kite, "INFY", "day", "2026-11-19", "2026-11-20")
    assert _stamps(found) == [f"2026-11-{day}T09:15:00+0530" for day in (19, 20)]
    assert found[1][5] == 7


def test_placeholders_precede_a_listing_when_asked_for() -> None:
    """Zero prices before the first day, which Kite has been seen to serve."""
    window = ("2021-07-15", "2021-07-24")
    with sandbox(placeholders=True) as kite:
        found = candles(kite, "ETERNAL", "day", *window)
    assert [one[1:] for one in found[:2]] == [[0, 0, 0, 0, 0]] * 2
    assert found[2][4] > 0
