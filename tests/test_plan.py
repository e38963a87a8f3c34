"""What to ask and which reply decides, held against models that count single dates."""

import itertools
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitepipe.model import Interval, Window
from kitepipe.plan import (
    Claim,
    Known,
    Segment,
    chunk_date_range,
    covers,
    decide,
    merge,
    plan_windows,
    subtract,
)

DAY = timedelta(days=1)
EPOCH = date(2024, 1, 1)
P1, P2 = date(2026, 11, 19), date(2026, 11, 20)


def day(number: int) -> date:
    """Return a date by a small number."""
    return EPOCH + number * DAY


def window(first: int, last: int) -> Window:
    """Return a window by small numbers."""
    return Window(day(first), day(last))


def dates(windows: Iterable[Window]) -> list[date]:
    """Return every date of every window, in order, repetitions kept."""
    return [one.first + n * DAY for one in windows for n in range(one.days)]


WINDOWS = st.tuples(st.integers(0, 60), st.integers(0, 20)).map(lambda t: window(t[0], t[0] + t[1]))
COVERAGE: st.SearchStrategy[list[Window]] = st.lists(WINDOWS, max_size=5).map(merge)


@given(
    st.dates(date(1995, 1, 1), date(2030, 1, 1)),
    st.integers(0, 15_000),
    st.sampled_from(Interval),
    st.none() | st.integers(1, 3000),
)
def test_windows_tile_a_range_within_the_cap(
    first: date, days: int, interval: Interval, max_days: int | None
) -> None:
    """Property 19: windows respect the cap (2000 days for day) and tile the range in order."""
    last = first + days * DAY
    windows = chunk_date_range(first, last, interval, max_days)
    caps = {"minute": 60, "60minute": 400, "day": 2000, "15minute": 200, "30minute": 200}
    most = min(caps.get(interval.value, 100), max_days or 2000)
    assert all(one.days <= most for one in windows)
    assert (windows[0].first, windows[-1].last) == (first, last)
    assert all(a.last + DAY == b.first for a, b in itertools.pairwise(windows))
    assert len(windows) == -(-(days + 1) // most)


def test_a_range_that_ends_before_it_begins_has_no_window() -> None:
    """A series that is up to date has nothing to ask; an interval may be given by its name."""
    assert chunk_date_range(day(1), day(0), "day") == []
    assert chunk_date_range(day(0), day(0), "minute") == [window(0, 0)]
    with pytest.raises(ValueError, match="week"):
        chunk_date_range(day(0), day(1), "week")


@given(st.lists(WINDOWS, max_size=8))
def test_merged_windows_are_the_same_dates(windows: list[Window]) -> None:
    """Sorted, disjoint, and no two of them touch."""
    merged = merge(windows)
    assert dates(merged) == sorted(set(dates(windows)))
    assert all(a.last + DAY < b.first for a, b in itertools.pairwise(merged))


@given(WINDOWS, COVERAGE)
def test_what_is_covered_is_not_open(span: Window, covered: list[Window]) -> None:
    """The open parts are the span's dates that no coverage holds, as few windows as can be."""
    gaps = subtract(span, covered)
    expected = sorted(set(dates([span])) - set(dates(covered)))
    assert dates(gaps) == expected
    assert all(a.last + DAY < b.first for a, b in itertools.pairwise(gaps))


@given(COVERAGE, st.lists(WINDOWS, max_size=4))
def test_covers_says_whether_every_date_lies_inside(
    outer: list[Window], inner: list[Window]
) -> None:
    """Checked date by date."""
    assert covers(outer, inner) == (set(dates(inner)) <= set(dates(outer)))


CLAIMS = st.lists(st.tuples(WINDOWS, st.integers(0, 3), st.sampled_from("ab")), max_size=8).map(
    lambda found: [
        Claim((datetime(2026, 1, 1, tzinfo=UTC) + at * DAY, staging, number), held)
        for number, (held, at, staging) in enumerate(found)
    ]
)


@given(CLAIMS, st.randoms(use_true_random=False))
def test_the_newest_claim_decides_each_date(claims: list[Claim], shuffled: object) -> None:
    """Date by date the newest by (fetched_at, staging_id, reply_id), in whatever order they come.

    Segments are sorted, disjoint, as long as they can be, and hold what some claim holds.
    """
    expected: dict[date, Claim] = {}
    for claim in sorted(claims, key=lambda one: one.order):
        expected |= dict.fromkeys(dates([claim.window]), claim)
    segments = decide(claims)
    told = {one: segment.claim for segment in segments for one in dates([segment.window])}
    assert told == expected
    assert dates(segment.window for segment in segments) == sorted(expected)
    assert all(not _could_be_one(a, b) for a, b in itertools.pairwise(segments))
    shuffled.shuffle(claims)  # type: ignore[attr-defined]
    assert decide(claims) == segments


def _could_be_one(a: Segment, b: Segment) -> bool:
    return a.claim == b.claim and a.window.last + DAY == b.window.first


@st.composite
def knowledge(draw: st.DrawFn) -> Known:
    """Return what may be known: coverage, a session in it, a period."""
    covered = draw(COVERAGE)
    if not covered:
        return Known()
    session = draw(st.none() | st.sampled_from(dates(covered)))
    return Known(tuple(covered), session, draw(st.sampled_from([P1, P2])))


@given(WINDOWS, knowledge(), st.integers(0, 90).map(day), st.booleans(), st.sampled_from(Interval))
def test_a_plan_asks_all_that_is_open_once(
    span: Window, known: Known, settled: date, newest_first: bool, interval: Interval
) -> None:
    """Open gaps that have a date that can be settled, no date twice, and one session at most."""
    planned = plan_windows(
        span, known, interval, settled=settled, period=P2, newest_first=newest_first
    )
    open_gaps = [gap for gap in subtract(span, known.covered) if gap.first <= settled]
    session = known.last_session if known.period == P1 and open_gaps else None
    asked = dates(planned)
    assert len(asked) == len(set(asked))
    assert set(dates(open_gaps)) <= set(asked)
    assert all(one.days <= interval.max_days for one in planned)
    least = sum(-(-gap.days // interval.max_days) for gap in open_gaps)
    assert least <= len(planned) <= least + (session is not None)
    if session:
        assert session in planned[0]
        extra = set(asked) - set(dates(open_gaps))
        assert not extra or min(extra) == session or max(extra) == session
    else:
        assert set(asked) == set(dates(open_gaps))


def _plan(span: Window, *covered: Window, session: date | None = None, **more: object) -> object:
    known = Known(covered, session, P1 if covered else None)
    options = {"settled": day(9999), "period": P2, **more}
    return plan_windows(span, known, Interval.MINUTE, **options)  # type: ignore[arg-type]


def test_the_shared_session_rides_along_where_it_fits() -> None:
    """The day after the newest session: one window that begins with that session."""
    assert _plan(window(0, 20), window(0, 18), session=day(18)) == [window(18, 20)]
    assert _plan(window(0, 20), window(0, 18), session=day(16)) == [window(16, 20)]


def test_the_shared_session_is_asked_alone_where_it_would_cost_a_request_anyway() -> None:
    """60 open days fill a minute window: stretching it would make two of 60 and 1."""
    planned = _plan(window(0, 78), window(0, 18), session=day(18))
    assert planned == [window(18, 18), window(19, 78)]


def test_a_hole_that_is_far_away_leaves_the_session_to_the_gap_beside_it() -> None:
    """The window that holds the session comes first, then the hole; none is asked twice."""
    planned = _plan(window(0, 300), window(3, 298), session=day(298))
    assert planned == [window(298, 300), window(0, 2)]
    planned = _plan(window(0, 20), window(3, 10), window(13, 18), session=day(18))
    assert planned == [window(18, 20), window(0, 2), window(11, 12)]


def test_holes_come_first_in_the_same_period() -> None:
    """What failed last time is asked before what is new."""
    planned = _plan(window(0, 20), window(0, 3), window(6, 18), session=day(18), period=P1)
    assert planned == [window(4, 5), window(19, 20)]


def test_the_newest_window_comes_first_where_a_token_is_about_to_die() -> None:
    """The old candles of a contract can wait no less, but the last ones are lost first."""
    planned = _plan(window(0, 150), newest_first=True)
    assert planned == [window(120, 150), window(60, 119), window(0, 59)]
    planned = _plan(window(0, 20), window(4, 9), newest_first=True, period=P1)
    assert planned == [window(10, 20), window(0, 3)]


def test_a_gap_that_cannot_be_settled_yet_is_not_asked() -> None:
    """Nor is the session that would prove its price base."""
    assert _plan(window(0, 20), window(0, 19), session=day(19), settled=day(19)) == []
    assert _plan(window(0, 20), window(0, 18), settled=day(19), period=P1) == [window(19, 20)]
