"""Laws of holes: what counts as a session, and that neither windows nor their order matter."""

from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitepipe import staging_gaps
from kitepipe.model import GapKind, Interval, Window
from kitepipe.staging import Cursor, Staging
from kitepipe.staging_gaps import CONFIRMATIONS, find_gaps
from kitepipe.staging_replies import ReplyWriter
from tests.marks import examples
from tests.staging_help import API_ROOT, NOON, body, candles, commit, series

BEGIN = date(2026, 1, 5)
DAYS = 16
WHOLE = (Window(BEGIN, BEGIN + timedelta(DAYS - 1)),)
Traded = Mapping[int, Set[int]]  # of each instrument, on which days

some_days = st.sets(st.integers(0, DAYS - 1), min_size=8)
traded = st.lists(some_days, min_size=1, max_size=4).map(
    lambda found: dict(enumerate(found, start=1))
)


def _day(number: int) -> date:
    return BEGIN + timedelta(number)


def _windows(cuts: Sequence[int]) -> list[Window]:
    edges = [0, *sorted({cut for cut in cuts if 0 < cut < DAYS}), DAYS]
    return [Window(_day(a), _day(b - 1)) for a, b in pairwise(edges)]


def _stage(
    writer: ReplyWriter, traded: Traded, windows: Sequence[Window], at: datetime = NOON
) -> None:
    for key, days in traded.items():
        for window in windows:
            inside = [day for day in map(_day, sorted(days)) if day in window]
            commit(writer, series(key), window, candles(inside), fetched_at=at)


@contextmanager
def _staging() -> Iterator[tuple[ReplyWriter, Cursor]]:
    with (
        TemporaryDirectory() as folder,
        Staging.write(Path(folder, "s.duckdb"), API_ROOT) as staging,
        ReplyWriter(staging) as writer,
        staging.cursor() as cursor,
    ):
        yield writer, cursor


def _found(
    cursor: Cursor, sessions: Sequence[int], kind: GapKind = GapKind.HOLE
) -> set[tuple[int, date]]:
    """Return the sessions that are gaps of a kind."""
    gaps = [one for one in find_gaps(cursor) if one.gap.kind is kind]
    days = [_day(number) for number in sessions]
    return {(one.key[0], day) for one in gaps for day in days if day in one.window}


def _sessions(traded: Traded) -> list[int]:
    """Return the sessions by the rule as people say it."""
    first = {key: min(days) for key, days in traded.items()}
    return [
        day
        for day in range(DAYS)
        if sum(day in days for days in traded.values())
        >= (1 if sum(first[key] <= day for key in traded) <= 2 else 2)
    ]


def _ever(traded: Traded, before: Traded) -> Traded:
    return {key: days | before.get(key, set()) for key, days in traded.items()}


def _expected(traded: Traded, before: Traded | None = None) -> set[tuple[int, date]]:
    """Return the holes by the rule as people say it, day by day; `before` was seen once too."""
    ever = _ever(traded, before or {})
    first, sessions = {key: min(days) for key, days in ever.items()}, _sessions(ever)
    holes = set()
    for key, days in traded.items():
        life = [day for day in sessions if day >= first[key]]
        missing = [day for day in life if day not in days]
        for day in missing:
            run = {day}
            while grown := {life[i] for i in range(len(life)) if life[i] in missing and any(
                0 <= j < len(life) and life[j] in run for j in (i - 1, i + 1))} - run:  # fmt: skip
                run |= grown
            if 5 * (len(missing) - len(run)) <= len(life):
                holes.add((key, _day(day)))
    return holes


@settings(max_examples=examples(12))
@given(traded, st.lists(st.integers(1, DAYS), max_size=2))
def test_holes_are_the_sessions_of_others(traded: Traded, cuts: list[int]) -> None:
    """A day is a session by what others did on it; windows of any size show the same holes."""
    with _staging() as (writer, cursor):
        _stage(writer, traded, _windows(cuts))
        assert _found(cursor, _sessions(traded)) == _expected(traded)


@settings(max_examples=examples(8))
@given(traded, st.lists(st.integers(0, 5), min_size=1, max_size=5))
def test_three_days_confirm_a_hole_and_less_do_not(traded: Traded, days: list[int]) -> None:
    """Replies count by the IST day on which they came, however many come on one."""
    with _staging() as (writer, cursor):
        for minute, day in enumerate(sorted(days)):
            _stage(writer, traded, WHOLE, NOON - timedelta(days=9 - day, minutes=-minute))
        enough = len(set(days)) >= CONFIRMATIONS
        kinds = (GapKind.ABSENT, GapKind.HOLE) if enough else (GapKind.HOLE, GapKind.ABSENT)
        found = [_found(cursor, _sessions(traded), kind) for kind in kinds]
        assert found == [_expected(traded), set()]


@settings(max_examples=examples(10))
@given(st.lists(st.tuples(some_days, some_days), min_size=2, max_size=4))
def test_the_newest_reply_says_what_is_missing(pairs: list[tuple[set[int], set[int]]]) -> None:
    """A hole that was filled is none, and what vanished is one; a session stays one."""
    old = {key: days for key, (days, _) in enumerate(pairs, start=1)}
    new = {key: days for key, (_, days) in enumerate(pairs, start=1)}
    with _staging() as (writer, cursor):
        _stage(writer, old, WHOLE, NOON - timedelta(days=1))
        _stage(writer, new, WHOLE)
        assert _found(cursor, _sessions(_ever(new, old))) == _expected(new, old)


@pytest.mark.parametrize(("others", "expected"), [(1, 1), (2, 0), (3, 1)])
def test_enough_is_two_of_three(others: int, expected: int) -> None:
    """One stray candle makes no session where three lived; of two, each speaks for the other.

    With three others it is a session again as soon as two of them traded.
    """
    whole = set(range(DAYS))
    seen = {1: whole - {5}, **{key: whole - {5} for key in range(2, others + 2)}}
    seen[2] = whole
    if others == 3:
        seen[3] = whole
    with _staging() as (writer, cursor):
        _stage(writer, seen, WHOLE)
        assert ((1, _day(5)) in _found(cursor, [5])) == bool(expected)


def _minutes(days: Mapping[int, int]) -> str:
    """Return a body with so many 5 minute candles on each day."""
    rows = [
        [f"{_day(number)}T{9 + (15 + 5 * n) // 60:02}:{(15 + 5 * n) % 60:02}:00+0530", *[1] * 5]
        for number, count in days.items()
        for n in range(count)
    ]
    return body(rows)


@settings(max_examples=examples(8))
@given(st.sets(st.integers(1, DAYS - 1), max_size=2), st.integers(0, 75))
def test_minutes_are_missing_where_a_full_series_has_fewer(short: set[int], count: int) -> None:
    """Any number less than usual is a hole, where another instrument was whole."""
    with _staging() as (writer, cursor):
        for key, cut in ((1, short), (2, set[int]())):
            counts = {n: count if n in cut else 75 for n in range(DAYS)}
            commit(writer, series(key, Interval.MINUTE_5), WHOLE[0], _minutes(counts))
        expected = {(1, _day(n)) for n in short} if count < 75 else set()
        assert _found(cursor, range(DAYS)) == expected


def test_how_many_dates_are_searched_at_once_does_not_matter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Half a year at once, or in spans of days: the same short sessions, beside the same others.

    Weeks with more candles, up to a month away, decide what is usual; the fourth has no peer of its
    interval, and is compared with itself.
    """
    more = {*range(26, 36), *range(86, 96), *range(148, 158)}
    short = {1: {3, 40, 41, 62}, 2: {40, 150}, 3: {0, 179}, 4: {57, 60, 61, 62, 63, 66, 121, 124}}
    with _staging() as (writer, cursor):
        for key, cut in short.items():
            counts = {n: 3 if n in cut else 8 if n in more else 5 for n in range(180)}
            window, interval = Window(_day(0), _day(179)), Interval.MINUTE_5
            interval = Interval.MINUTE_15 if key == 4 else interval
            commit(writer, series(key, interval), window, _minutes(counts))
        whole = find_gaps(cursor)
        for at_once in (30, 200):
            monkeypatch.setattr(staging_gaps, "_DATES_AT_ONCE", at_once)
            assert find_gaps(cursor) == whole
    assert {one.key[0] for one in whole if one.short} >= {1, 3, 4}


def test_days_are_short_where_a_span_has_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last span is of two days, on which one of three has fewer candles than ever before."""
    monkeypatch.setattr(staging_gaps, "_DATES_AT_ONCE", 1)  # three series: spans of 62 days
    with _staging() as (writer, cursor):
        for key in (1, 2, 3):
            counts = {n: 5 if key == 1 and n > 60 else 8 for n in range(63)}
            window = Window(_day(0), _day(62))
            commit(writer, series(key, Interval.MINUTE_5), window, _minutes(counts))
        found = find_gaps(cursor)
    assert [one.window.first for one in found if one.short] == [_day(61), _day(62)]


@pytest.mark.parametrize(("keys", "told"), [((1, 2, 3), [3]), ((2, 3), [])])
def test_a_peer_of_the_same_exchange_tells_a_short_session_from_a_short_day(
    keys: tuple[int, ...], told: list[int]
) -> None:
    """Two exchanges, a day on which both have somebody short: alone there, none is told."""
    with _staging() as (writer, cursor):
        for key in keys:
            counts = {n: 3 if n == 7 and key > 1 else 8 for n in range(DAYS)}
            one = series(key, Interval.MINUTE_5)
            mcx = replace(one, instrument=replace(one.instrument, exchange="MCX"))
            commit(writer, one if key == 2 else mcx, WHOLE[0], _minutes(counts))
        found = [staged for staged in find_gaps(cursor) if staged.short]
    assert [(one.key[0], one.window.first) for one in found] == [(key, _day(7)) for key in told]


@pytest.mark.parametrize(("edge", "place", "farthest"), [(60, 10, 91), (61, 31, 30)])
def test_the_farthest_day_of_a_stretch_is_seen_from_another_span(
    edge: int, place: int, farthest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five fuller days of 42 make none of them short; a day less seen, and one would be."""
    monkeypatch.setattr(staging_gaps, "_DATES_AT_ONCE", 1)  # two series: spans of 61 and 62 days
    first = next(n for n in range(42) if (_day(n + edge) - date(1970, 1, 1)).days % 42 == place)
    fuller = {farthest, *range(edge + 4, edge + 8)} - {edge}
    with _staging() as (writer, cursor):
        for key in (1, 2):
            counts = dict.fromkeys(range(180), 5)
            if key == 1:
                counts |= dict.fromkeys(fuller, 8) | {edge: 3}
            window = Window(_day(first), _day(first + 179))
            body = _minutes({first + n: count for n, count in counts.items()})
            commit(writer, series(key, Interval.MINUTE_5), window, body)
        assert find_gaps(cursor) == []
