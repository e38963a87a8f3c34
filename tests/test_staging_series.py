"""Claims about what staging knows of series: their coverage, epochs and price bases."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitepipe.model import IST, Interval, Window
from kitepipe.plan import merge
from kitepipe.sessions import period_of
from kitepipe.staging import Staging
from kitepipe.staging_replies import Asked, Rebase, ReplyWriter
from kitepipe.staging_series import (
    FIRST_EPOCH,
    key_of,
    select_claims,
    select_known,
    select_staged_series,
)
from tests.marks import examples
from tests.staging_help import API_ROOT, adopt, candles, commit, numbered, reply, series

DAY = date(2026, 11, 20)
BASE = date(2026, 1, 1)
START = datetime(2026, 6, 1, 6, tzinfo=UTC)


@pytest.fixture
def staging(tmp_path: Path) -> Iterator[Staging]:
    """A new staging file."""
    with Staging.write(tmp_path / "kitepipe.duckdb", API_ROOT) as staging:
        yield staging


@dataclass(frozen=True)
class Told:
    """One thing that staging was told of a series: a reply, or what the warehouse has."""

    key: int
    oi: bool
    first: int
    days: int
    settled: int
    candles: tuple[int, ...]
    rebase: bool
    warehouse: bool


@st.composite
def told(draw: st.DrawFn) -> Told:
    """Draw a reply to a few dates, settled up to somewhere, or warehouse coverage."""
    first, days = draw(st.integers(0, 30)), draw(st.integers(1, 8))
    held = draw(st.sampled_from([0, 0, 0, 1, 3, 9]))
    inside = st.integers(first, first + days - 1)
    warehouse = draw(st.integers(0, 5)) == 0
    return Told(
        draw(st.integers(1, 2)),
        draw(st.booleans()),
        first,
        days,
        first + days - 1 - (0 if warehouse else held),
        tuple(sorted(draw(st.sets(inside, max_size=3)))),
        not warehouse and draw(st.integers(0, 5)) == 0,
        warehouse,
    )


def model(all_told: list[Told], *, oi: bool | None) -> dict[int, tuple[object, ...]]:
    """Return what is known, date by date, the naive way."""
    known: dict[int, tuple[object, ...]] = {}
    for key in {one.key for one in all_told}:
        mine = [(_at(n), one) for n, one in enumerate(all_told) if one.key == key]
        epoch = max([at for at, one in mine if one.rebase], default=FIRST_EPOCH)
        counted = [(at, one) for at, one in mine if at >= epoch]
        covered, sessions = set(), set()
        only_with_oi = oi is not None and (oi or any(one.oi for _, one in mine))
        for _, one in counted:
            last = min(one.first + one.days - 1, one.settled)
            if one.oi or not only_with_oi:
                covered |= set(range(one.first, last + 1))
            sessions |= {day for day in one.candles if day <= one.settled}
        if counted:
            newest = max(at for at, _ in counted)
            session = max([_day(number) for number in sessions], default=None)
            known[key] = ({_day(n) for n in covered}, session, period_of(newest), epoch, newest)
    return known


def _day(number: int) -> date:
    return BASE + timedelta(number)


def _at(number: int) -> datetime:
    return START + timedelta(hours=7 * number)


def _tell(staging: Staging, writer: ReplyWriter, at: datetime, one: Told) -> None:
    window = Window(_day(one.first), _day(one.first + one.days - 1))
    of = series(one.key, oi=one.oi)
    if one.warehouse:
        with staging.cursor() as cursor:
            session = max(map(_day, one.candles), default=None)
            adopt(cursor, of, window, at, session)
        return
    text = candles(_day(number) for number in one.candles)
    rebase = Rebase(0.5, window.first) if one.rebase else None
    commit(writer, of, window, text, fetched_at=at, settled=_day(one.settled), rebase=rebase)


@settings(max_examples=examples(25))
@given(all_told=st.lists(told(), max_size=9), oi=st.sampled_from([True, False, None]))
def test_coverage_is_what_a_list_of_dates_would_say(
    tmp_path_factory: pytest.TempPathFactory, all_told: list[Told], oi: bool | None
) -> None:
    """Islands, held dates, epochs, oi and warehouse coverage: SQL agrees with the naive model."""
    path = tmp_path_factory.mktemp("known") / "kitepipe.duckdb"
    with Staging.write(path, API_ROOT) as staging, numbered(staging) as writer:
        for number, one in enumerate(all_told):
            _tell(staging, writer, _at(number), one)
        with staging.cursor() as cursor:
            found = select_known(cursor, oi=oi)
    actual = {}
    for key, staged in found.items():
        known, covered = staged.known, staged.known.covered
        assert list(covered) == merge(covered)  # sorted, disjoint, not touching
        days = {w.first + timedelta(n) for w in covered for n in range(w.days)}
        times = (known.period, staged.epoch, staged.fetched_at)
        actual[key[0]] = (days, known.last_session, *times)
    assert actual == model(all_told, oi=oi)


def test_series_are_told_apart(staging: Staging) -> None:
    """Interval and continuous are part of a series: one's coverage is not the other's."""
    window = Window(DAY, DAY)
    one, other = series(1), series(1, Interval.MINUTE)
    third = replace(one, continuous=True)
    with numbered(staging) as writer, staging.cursor() as cursor:
        commit(writer, one, window, candles([DAY]))
        commit(writer, third, window, candles([]))
        known = select_known(cursor, oi=False)
    assert set(known) == {key_of(one), key_of(third)}
    assert key_of(other) not in known
    assert known[key_of(third)].known.last_session is None


def test_oi_switched_on_asks_again(staging: Staging) -> None:
    """Replies that were asked without oi cover nothing, but still tell the price base."""
    with numbered(staging) as writer, staging.cursor() as cursor:
        commit(writer, series(), Window(DAY, DAY), candles([DAY]))
        (without,) = select_known(cursor, oi=True).values()
        assert (without.known.covered, without.known.last_session) == ((), DAY)
        commit(writer, series(oi=True), Window(DAY, DAY), candles([DAY]))
        assert select_known(cursor, oi=True) == select_known(cursor, oi=False)


def test_unloaded_series_and_their_claims(staging: Staging) -> None:
    """A series is told where a reply of it is not loaded; its claims are all of its replies."""
    first, last = DAY - timedelta(3), DAY
    with numbered(staging) as writer, staging.cursor() as cursor:
        commit(writer, series(1), Window(first, last), candles([first, last]), settled=first)
        commit(writer, series(2), Window(last, last), candles([]), fetched_at=START)
        commit(writer, series(1), Window(last, last), candles([last]))
        loaded: dict[str, object] = {"reply_id": np.array([1, 2], dtype=np.int64)}
        [one] = select_staged_series(cursor, loaded, None)
        assert (one.key, str(one), one.replies) == (key_of(series(1)), "NSE:INFY day", 1)
        assert (one.first_candle, one.last_candle) == (last, last)
        nothing: dict[str, object] = {"reply_id": np.array([], dtype=np.int64)}
        assert [s.key[0] for s in select_staged_series(cursor, nothing, None)] == [1, 2]
        assert [s.key[0] for s in select_staged_series(cursor, nothing, START)] == [2]
        claims = select_claims(cursor, [key_of(series(1))], None)[key_of(series(1))]
    assert [claim.reply_id for claim in claims] == [1, 3]
    assert [claim.settled for claim in claims] == [Window(first, first), Window(last, last)]


def test_a_reply_on_its_way_at_eight_counts_for_the_period_before(staging: Staging) -> None:
    """It may stand on either price base: the next run has to compare, also after a kill."""
    asked_at = datetime(2026, 11, 23, 7, 59, 50, tzinfo=IST)
    answered = asked_at + timedelta(seconds=15)
    with numbered(staging) as writer, staging.cursor() as cursor:
        asked = Asked(series(), Window(DAY, DAY), FIRST_EPOCH, asked_at, 1)
        writer.commit(asked, reply(candles([DAY]), answered), DAY)
        (known,) = select_known(cursor, oi=False).values()
    assert known.known.period == date(2026, 11, 22)
