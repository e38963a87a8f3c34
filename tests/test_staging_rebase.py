"""Claims about price bases: when a history counts as re-based, and when as corrected."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from kitepipe.model import Interval, Series, Window
from kitepipe.staging import Staging
from kitepipe.staging_replies import Rebase, ReplyWriter
from kitepipe.staging_series import FIRST_EPOCH, find_rebase, key_of, select_epochs
from tests.staging_help import API_ROOT, adopt, body, commit, reply, series

DAY = date(2026, 11, 20)
BASE = date(2026, 1, 1)
START = datetime(2026, 6, 1, 6, tzinfo=UTC)


@pytest.fixture
def staging(tmp_path: Path) -> Iterator[Staging]:
    """A new staging file."""
    with Staging.write(tmp_path / "kitepipe.duckdb", API_ROOT) as staging:
        yield staging


def day_row(*prices: float, at: str = "00:00:00") -> list[object]:
    """Return a day candle."""
    return [f"{DAY}T{at}+0530", *prices, 1000]


def as_object(row: list[object]) -> dict[str, object]:
    """Return a candle in its other form."""
    keys = ("timestamp", "open", "high", "low", "close", "volume")
    return dict(zip(keys, row, strict=True))


def compared(staging: Staging, old: object, new: object, of: Series | None = None) -> Rebase | None:
    """Stage a reply with `old`, and compare one with `new` to it."""
    of = of or series()
    texts = [one if isinstance(one, str) else body([one]) for one in (old, new)]
    with ReplyWriter(staging) as writer, staging.cursor() as cursor:
        commit(writer, of, Window(DAY, DAY), texts[0])
        return find_rebase(cursor, of, FIRST_EPOCH, DAY, reply(texts[1]))


PRICES = (1705.0, 1720.55, 1699.25, 1711.1)


def rounded(factor: float) -> tuple[float, ...]:
    """Return PRICES on another base, rounded to 0.05 as Kite does."""
    return tuple(round(round(price * factor * 20) / 20, 2) for price in PRICES)


@pytest.mark.parametrize("factor", [0.5, 0.1, 2, 1 / 3, 0.6885, 0.985, 0.02])
def test_one_factor_is_another_base(staging: Staging, factor: float) -> None:
    """Bonus, split or large dividend: all prices by one factor, rounding aside."""
    rebase = compared(staging, day_row(*PRICES), day_row(*rounded(factor)))
    assert rebase is not None
    assert rebase.session == DAY
    assert rebase.ratio == pytest.approx(factor, rel=0.001)


NO_REBASE = {
    "equal": (day_row(*PRICES), day_row(*PRICES)),
    "equal, written otherwise": (day_row(1705, *PRICES[1:]), day_row(1705.0, *PRICES[1:])),
    "one price corrected": (day_row(*PRICES), day_row(*PRICES[:3], 1712.0)),
    "all prices, no one factor": (day_row(*PRICES), day_row(*(p + 10 for p in PRICES[::-1]))),
    "a step of rounding": (day_row(*PRICES), day_row(1705.05, *PRICES[1:])),
    "no candle any more": (day_row(*PRICES), body([])),
    "no candle before": (body([]), day_row(*PRICES)),
    "volume only": (day_row(*PRICES), [*day_row(*PRICES)[:5], 7]),
    "prices that are none": (day_row(*PRICES), day_row(0, 0, 0, 0)),
}


@pytest.mark.parametrize("what", NO_REBASE)
def test_corrections_and_equal_data_are_no_rebase(staging: Staging, what: str) -> None:
    """Anything but one factor is a correction: the newer reply decides, nothing is asked anew."""
    assert compared(staging, *NO_REBASE[what]) is None


def test_a_day_candle_is_its_date(staging: Staging) -> None:
    """Old replies stamp a day candle 09:15, new ones 00:00: it is the same candle."""
    new = day_row(*rounded(0.5))
    assert compared(staging, day_row(*PRICES, at="09:15:00"), new) is not None


def test_an_intraday_candle_is_its_time(staging: Staging) -> None:
    """Candles of other times are not compared; those of the same time are."""
    minute = series(interval=Interval.MINUTE)
    old = day_row(*PRICES, at="09:15:00")
    assert compared(staging, old, day_row(*rounded(0.5), at="09:16:00"), minute) is None
    assert compared(staging, old, day_row(*rounded(0.5), at="09:15:00"), minute) is not None


def test_objects_and_arrays_are_compared(staging: Staging) -> None:
    """The form of a candle does not matter."""
    old, new = as_object(day_row(*PRICES)), day_row(*rounded(0.5))
    assert compared(staging, old, new) is not None
    assert compared(staging, new, old) is not None
    assert compared(staging, old, as_object(day_row(*PRICES))) is None


def test_a_number_that_json_lacks_hides_no_rebase(staging: Staging) -> None:
    """A body with a NaN in it is compared by its other prices."""
    minute = series(interval=Interval.MINUTE)
    rows = [day_row(*rounded(0.5)), day_row(1, 1, 1, 987654321, at="09:15:00")]
    text = body(rows).replace("987654321", "NaN")
    assert compared(staging, day_row(*PRICES), text, minute) is not None


def test_a_candle_with_two_prices_is_not_compared(staging: Staging) -> None:
    """Twice the same instant with different prices: neither is known to be right."""
    twice = body([day_row(*rounded(0.5)), day_row(*PRICES)])
    assert compared(staging, day_row(*PRICES), twice) is None


def test_what_the_warehouse_had_is_compared(staging: Staging) -> None:
    """Where staging had nothing, the warehouse's last session tells the base."""
    of = series()
    with staging.cursor() as cursor:
        adopt(cursor, of, Window(BASE, DAY), START, None, body([day_row(*PRICES)]))
        new = reply(body([day_row(*rounded(0.5))]))
        assert find_rebase(cursor, of, FIRST_EPOCH, DAY, new) is not None
        assert find_rebase(cursor, of, START + timedelta(1), DAY, new) is None


def test_replies_of_an_older_epoch_are_no_reference(staging: Staging) -> None:
    """After a re-base only what was fetched since is compared with, the newest first."""
    of, window = series(), Window(DAY, DAY)
    later = START + timedelta(days=1)
    with ReplyWriter(staging) as writer, staging.cursor() as cursor:
        commit(writer, of, window, body([day_row(*PRICES)]), fetched_at=START)
        rebase = Rebase(0.5, DAY)
        text = body([day_row(*rounded(0.5))])
        commit(writer, of, window, text, fetched_at=later, rebase=rebase)
        assert find_rebase(cursor, of, later, DAY, reply(text)) is None
        assert find_rebase(cursor, of, later, DAY, reply(body([day_row(*PRICES)]))) is not None
        assert select_epochs(cursor, None) == {key_of(of): [(later, 0.5, DAY)]}
        assert select_epochs(cursor, START) == {}
