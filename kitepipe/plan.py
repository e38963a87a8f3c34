"""Date ranges, coverage, windows: what to ask, and which reply decides. Pure functions.

A window is whole IST dates, both inclusive; coverage is a sorted list of disjoint windows.
"""

import heapq
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from kitepipe.model import Interval, Window

_DAY = timedelta(days=1)

# The search for the start of a history ends after so many empty days: a full day window. Shares
# have been suspended for years, and came back; none is known to have come back after more.
EMPTY_DAYS = 2000


@dataclass(frozen=True, slots=True)
class Bounds:
    """What limits one run of `fetch`; times are IST."""

    first: date | None = None
    last: date | None = None
    refetch: bool = False
    repair: bool = False
    max_requests: int | None = None
    until: time | None = None
    from_scratch: bool = False
    wait: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one series in its present epoch.

    `covered` are the settled dates; `last_session` the newest covered date with a candle;
    `period` the 08:00 IST period of its newest reply.
    """

    covered: tuple[Window, ...] = ()
    last_session: date | None = None
    period: date | None = None
    first_session: date | None = None  # the oldest date with a candle


def history_start(known: Known, earliest: date) -> date | None:
    """Return the first date worth asking, from what is known of day candles; None: not known yet.

    It is proven where the dates before the first candle were answered empty back to `earliest`,
    or over EMPTY_DAYS; where there is no candle at all over EMPTY_DAYS, the newest of them.
    """
    for island in reversed(known.covered):
        if known.first_session is None:
            if island.first <= earliest or island.days >= EMPTY_DAYS:
                return island.last
        elif known.first_session in island:
            empty = (known.first_session - island.first).days
            if island.first <= earliest or empty >= EMPTY_DAYS:
                return max(known.first_session, earliest)
    return None


def chunk_date_range(
    first: date, last: date, interval: Interval | str, max_days: int | None = None
) -> list[Window]:
    """Cut `first`..`last` (inclusive IST dates) into windows that Kite accepts, in order.

    Each window spans at most the interval's cap (or `max_days`, where smaller); they neither
    overlap nor leave a gap. An empty list where `first` is after `last`.
    """
    cap = Interval(interval).max_days
    step = timedelta(days=min(cap, max_days or cap))
    windows = []
    while first <= last:
        windows.append(Window(first, min(last, first + step - _DAY)))
        first += step
    return windows


def subtract(span: Window, covered: Iterable[Window]) -> list[Window]:
    """Return the parts of `span` that `covered` (sorted, disjoint) leaves open, in order."""
    gaps, first = [], span.first
    for window in covered:
        if window.last < first:
            continue
        if window.first > span.last:
            break
        if window.first > first:
            gaps.append(Window(first, window.first - _DAY))
        first = window.last + _DAY
    if first <= span.last:
        gaps.append(Window(first, span.last))
    return gaps


def plan_windows(
    span: Window,
    known: Known,
    interval: Interval,
    *,
    settled: date,
    period: date,
    newest_first: bool = False,
) -> list[Window]:
    """Return the windows to ask for one series, in order.

    Holes come before the part after the newest covered date. A gap in which no date can be
    settled yet (all after `settled`) is left out. Where the series was last asked in another
    08:00 IST `period`, the first window holds a session that is already known, so that a re-based
    history shows itself before anything is built on it.
    """
    gaps = [gap for gap in subtract(span, known.covered) if gap.first <= settled]
    if not gaps:
        return []
    session = known.last_session if known.period not in (None, period) else None
    if newest_first:
        gaps.reverse()
    probes: list[Window] = []
    if session:
        gaps, probes = _share(gaps, session, interval.max_days)
    windows = [chunk_date_range(gap.first, gap.last, interval) for gap in gaps]
    if newest_first:
        windows = [part[::-1] for part in windows]
    planned = probes + [window for part in windows for window in part]
    return sorted(planned, key=lambda window: session not in window) if session else planned


def _share(gaps: list[Window], session: date, cap: int) -> tuple[list[Window], list[Window]]:
    """Stretch the nearest gap over `session` where that costs no request, else ask it alone."""
    wide = [Window(min(gap.first, session), max(gap.last, session)) for gap in gaps]
    at = min(range(len(gaps)), key=lambda n: wide[n].days - gaps[n].days)
    if -(-wide[at].days // cap) > -(-gaps[at].days // cap):
        return gaps, [Window(session, session)]
    return [*gaps[:at], wide[at], *gaps[at + 1 :]], []


@dataclass(frozen=True, slots=True)
class Claim:
    """One reply's claim to decide its dates; `order` is (fetched_at, staging_id, reply_id)."""

    order: tuple[datetime, str, int]
    window: Window


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive dates that one reply decides."""

    claim: Claim
    window: Window


def decide(claims: Sequence[Claim]) -> list[Segment]:
    """Return which claim decides which dates: for each date the newest whose window holds it.

    Segments are in date order, disjoint, and cover exactly the dates that some claim holds.
    The order in which `claims` come makes no difference.
    """
    starts = sorted(claims, key=lambda claim: claim.window.first)
    edges = sorted(
        {claim.window.first for claim in claims} | {claim.window.last + _DAY for claim in claims}
    )
    live: list[tuple[_Newest, Claim]] = []
    segments: list[Segment] = []
    position = 0
    for first, after in itertools.pairwise(edges):
        while position < len(starts) and starts[position].window.first <= first:
            heapq.heappush(live, (_Newest(starts[position].order), starts[position]))
            position += 1
        while live and live[0][1].window.last < first:
            heapq.heappop(live)
        if live:
            _append(segments, live[0][1], Window(first, after - _DAY))
    return segments


@dataclass(frozen=True, slots=True)
class _Newest:
    """Turns the heap's order round: the newest claim comes out first."""

    order: tuple[datetime, str, int]

    def __lt__(self, other: "_Newest") -> bool:
        return self.order > other.order


def _append(segments: list[Segment], claim: Claim, window: Window) -> None:
    last = segments[-1] if segments else None
    if last and last.claim is claim and last.window.last + _DAY == window.first:
        segments[-1] = Segment(claim, Window(last.window.first, window.last))
    else:
        segments.append(Segment(claim, window))


def merge(windows: Iterable[Window]) -> list[Window]:
    """Return the same dates as sorted, disjoint windows that do not touch."""
    merged: list[Window] = []
    for window in sorted(windows, key=lambda w: w.first):
        if merged and window.first <= merged[-1].last + _DAY:
            merged[-1] = Window(merged[-1].first, max(merged[-1].last, window.last))
        else:
            merged.append(window)
    return merged


def covers(outer: Sequence[Window], inner: Iterable[Window]) -> bool:
    """Tell whether every date of `inner` lies in `outer` (sorted, disjoint)."""
    return not any(subtract(window, outer) for window in inner)
