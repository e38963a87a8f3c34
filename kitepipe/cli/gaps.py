"""Gaps as people read them: a line for each kind, then what is to be looked at by name."""

from collections.abc import Sequence

from kitepipe.cli.output import count, number
from kitepipe.model import Gap, GapKind, Times

_NAMED = (GapKind.HOLE, GapKind.FAILED, GapKind.ABSENT, GapKind.SUSPENDED, GapKind.SELDOM)


def gap_lines(gaps: Sequence[Gap] | None, most: int) -> list[str]:
    """Return the lines for `gaps`, at most `most` of each kind by name; None: not asked for."""
    if gaps is None:
        return []
    if not gaps:
        return ["  gaps         none"]
    lines = []
    for kind in GapKind:
        some = [gap for gap in gaps if gap.kind is kind]
        if some:
            sessions = count(sum(gap.sessions for gap in some), "session")
            lines.append(f"  {kind.value:<16} {number(len(some)):>10}  {sessions}")
        if kind in _NAMED:
            lines += [f"    {_line(gap)}" for gap in some[:most]]
            more = len(some) - most
            lines += [f"    and {number(more)} more (--json has all)"] if more > 0 else []
    return lines


def _line(gap: Gap) -> str:
    dates = f"{gap.first}" if gap.first == gap.last else f"{gap.first} .. {gap.last}"
    sessions = f" ({count(gap.sessions, 'session')})" if gap.sessions > 1 else ""
    confirmed = f", seen on {count(gap.confirmed, 'day')}" if gap.confirmed else ""
    why = f": {gap.why}" if gap.why else ""
    if gap.times:
        why = f": no {', '.join(map(_times, gap.times))}, which {gap.like} has"
    return f"{gap.series} {dates}{sessions}{why}{confirmed}"


def _times(times: Times) -> str:
    if times.candles == 1:
        return times.first
    return f"{times.first} .. {times.last} ({times.candles} candles)"
