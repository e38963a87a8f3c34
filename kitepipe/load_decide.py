"""Which replies of a series decide which dates, given what the warehouse knows. Pure functions.

An epoch is an instant: history was re-based when the reply of that instant was fetched, and
replies fetched before it no longer count. Because that is told by fetched_at alone, it holds for
the replies of any staging file, in whatever order they are loaded. An epoch is taken when a staging
file that saw it, or has replies since, is fetched anew with every date. Dates that only older
replies of another file speak of are dropped then: beside the new price base they would be wrong.
"""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from kitepipe.model import Window
from kitepipe.plan import Claim, covers, decide, merge, subtract
from kitepipe.sessions import utc_bounds
from kitepipe.staging_candles import Part
from kitepipe.staging_series import FIRST_EPOCH, StagedReply

# What is parsed and sent at once: about 4 minute replies, 62,000 candles. A `load` of 128 replies
# takes 278 MB with 8 MB at once, 232 with 4 and 205 with 2, for 1, 1.04 and 1.3 of the CPU.
GROUP_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Known:
    """What the warehouse knows of a series.

    `claims` are those of its ledger, `keys` name all its replies (staging_id, reply_id); `noted`
    are the epochs that any staging file saw, taken or not.
    """

    claims: tuple[Claim, ...] = ()
    keys: frozenset[tuple[str, int]] = frozenset()
    epoch: datetime = FIRST_EPOCH
    noted: frozenset[datetime] = frozenset()


@dataclass(frozen=True, slots=True)
class Decision:
    """What one load of a series has to do.

    `replies` go into the ledger; `parts`, in date order, are to be parsed; `waiting` replies stand
    on a newer price base that is not complete yet.
    """

    epoch: datetime
    replies: tuple[StagedReply, ...] = ()
    parts: tuple[Part, ...] = ()
    waiting: int = 0
    covered: tuple[Window, ...] = ()  # the dates that any reply decides
    counting: tuple[Claim, ...] = ()  # the claims that decide, of any staging file
    dropped: tuple[Window, ...] = ()  # the dates that only replies before the epoch speak of


def decide_series(
    staging_id: str,
    replies: Sequence[StagedReply],
    epochs: Iterable[datetime],
    known: Known,
    adopted: Sequence[Window] = (),
    *,
    replay: bool = False,
) -> Decision:
    """Decide what to load of `replies`, all that staging has of one series.

    Without `replay` only replies that the warehouse does not know are worked on, and known ones
    that a new epoch brings to count. `adopted` are dates that staging did not ask for, as it knows
    them from the warehouse: an epoch has to bring them too.
    """
    seen = frozenset(epochs)
    staged = {reply.reply_id: _claim(staging_id, reply) for reply in replies}
    claims = [claim for claim in staged.values() if claim]
    claims += [claim for claim in known.claims if not _is_staged(claim, staging_id, staged)]
    later = sorted(epoch for epoch in seen | known.noted if epoch > known.epoch)
    epoch, waits = _epoch(_File(staging_id, replies, seen, adopted), claims, later)
    epoch = epoch or known.epoch
    counting = [
        claim for claim in claims if epoch <= claim.order[0] and claim.order[1:] not in waits
    ]
    covered = merge(claim.window for claim in counting)
    older = merge(claim.window for claim in claims if claim.order[0] < epoch)
    again = replay or epoch > known.epoch
    work = {
        reply.reply_id
        for reply in replies
        if (staging_id, reply.reply_id) not in (waits if again else waits | known.keys)
    }
    return Decision(
        epoch,
        tuple(reply for reply in replies if reply.reply_id in work),
        tuple(_parts(staging_id, {r.reply_id: r for r in replies}, work, counting, epoch)),
        len(waits),
        tuple(covered),
        tuple(counting),
        tuple(gap for window in older for gap in subtract(window, covered)),
    )


def _claim(staging_id: str, reply: StagedReply) -> Claim | None:
    settled = reply.settled
    order = (reply.fetched_at, staging_id, reply.reply_id)
    return Claim(order, settled) if settled else None


def _is_staged(claim: Claim, staging_id: str, staged: Container[int]) -> bool:
    return claim.order[1] == staging_id and claim.order[2] in staged


@dataclass(frozen=True, slots=True)
class _File:
    """What the staging file that is being loaded says of the series."""

    staging_id: str
    replies: Sequence[StagedReply]
    seen: frozenset[datetime]
    adopted: Sequence[Window]


def _epoch(
    file: _File, claims: Sequence[Claim], later: Sequence[datetime]
) -> tuple[datetime | None, frozenset[tuple[str, int]]]:
    """Return the newest of the `later` epochs that is complete (or None), and who waits.

    It is complete when replies since then, of any file, cover every date of one file that saw it or
    has replies since: so one that is complete stays so, whatever is loaded later. Replies of a
    newer one that this file saw, and which is not complete, wait and are not counted.
    """
    waits: frozenset[tuple[str, int]] = frozenset()
    for epoch in reversed(later):
        others = [claim for claim in claims if claim.order[1:] not in waits]
        since = merge(claim.window for claim in others if claim.order[0] >= epoch)
        files = {claim.order[1] for claim in others if claim.order[0] >= epoch}
        if epoch in file.seen:
            files.add(file.staging_id)
        if any(covers(since, _dates(one, file, others)) for one in files):
            return epoch, waits
        if epoch in file.seen:
            late = (reply for reply in file.replies if reply.fetched_at >= epoch)
            waits = frozenset((file.staging_id, reply.reply_id) for reply in late)
    return None, waits


def _dates(staging_id: str, file: _File, claims: Sequence[Claim]) -> list[Window]:
    """Return all dates that a file speaks of."""
    own = [claim.window for claim in claims if claim.order[1] == staging_id]
    return [*own, *file.adopted] if staging_id == file.staging_id else own


def _parts(
    staging_id: str,
    replies: dict[int, StagedReply],
    work: set[int],
    counting: Sequence[Claim],
    epoch: datetime,
) -> list[Part]:
    """Return the replies to parse with the dates that they decide, by their first such date.

    One that decides nothing because it is not settled is there too: its candles count as held.
    """
    decided: dict[int, list[Window]] = {}
    for segment in decide(counting):
        _, owner, reply_id = segment.claim.order
        if owner == staging_id and reply_id in work:
            decided.setdefault(reply_id, []).append(segment.window)
    parts = [Part(replies[reply_id], tuple(windows)) for reply_id, windows in decided.items()]
    unsettled = [
        Part(replies[reply_id], ())
        for reply_id in sorted(work - decided.keys())
        if replies[reply_id].settled is None and replies[reply_id].fetched_at >= epoch
    ]
    return parts + unsettled


def decided_windows(counting: Sequence[Claim]) -> dict[tuple[str, int], list[Window]]:
    """Return the dates that each reply decides, by its key (staging_id, reply_id)."""
    windows: dict[tuple[str, int], list[Window]] = {}
    for segment in decide(counting):
        windows.setdefault(segment.claim.order[1:], []).append(segment.window)
    return windows


def still_speaks(
    key: tuple[str, int], fetched_at: datetime, asked: date, decision: Decision
) -> bool:
    """Tell whether a reply that settles no date is the newest for the first date that it asked."""
    newer = (claim for claim in decision.counting if claim.order > (fetched_at, *key))
    return fetched_at >= decision.epoch and not any(asked in claim.window for claim in newer)


def groups(parts: Sequence[Part], most: int = GROUP_BYTES) -> list[list[Part]]:
    """Return the parts in groups of about `most` bytes, at least one part in each."""
    grouped: list[list[Part]] = []
    size = 0
    for part in parts:
        if not grouped or size + part.reply.bytes > most:
            grouped.append([])
            size = 0
        grouped[-1].append(part)
        size += part.reply.bytes
    return grouped


def group_bounds(group: Sequence[Part]) -> tuple[int, int]:
    """Return the first and last microsecond of the dates that a group decides."""
    windows = [window for part in group for window in part.decides]
    return utc_bounds(min(w.first for w in windows), max(w.last for w in windows))
