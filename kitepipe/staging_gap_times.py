"""Which candles short sessions lack: their times against those of a whole session, from the bodies.

Bodies are read a few at once: there may be thousands of such sessions.
"""

import logging
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import date

from kitepipe.errors import ArchiveOutOfReach
from kitepipe.model import Times
from kitepipe.sql import load
from kitepipe.staging import Cursor
from kitepipe.staging_replies import select_bodies

log = logging.getLogger(__name__)

# Of a minute's longest windows, up to 40 MB of bodies; 20 ms a MB.
_AT_ONCE = 16


@dataclass(frozen=True, slots=True, order=True)
class ShortSession:
    """A session with too few candles and the whole one it is compared with, each of a reply."""

    reply_id: int
    session: date
    like_reply_id: int
    like_session: date


def missing_times(
    cursor: Cursor, shorts: Sequence[ShortSession]
) -> dict[ShortSession, tuple[Times, ...]]:
    """Return the candle times that each short session lacks, in order.

    Where a body is in an archive that is out of reach there are none: a gap is one all the same.
    """
    found: dict[ShortSession, tuple[Times, ...]] = {}
    ordered = sorted(shorts)  # by reply: the sessions of one body are near each other
    for start in range(0, len(ordered), _AT_ONCE):
        some = ordered[start : start + _AT_ONCE]
        try:
            found |= _missing(cursor, some)
        except ArchiveOutOfReach as error:
            log.warning("%s; %d short sessions are told without their times", error, len(some))
            found |= dict.fromkeys(some, ())
    return found


def _missing(
    cursor: Cursor, shorts: Sequence[ShortSession]
) -> dict[ShortSession, tuple[Times, ...]]:
    select_bodies(cursor, list({i for one in shorts for i in (one.reply_id, one.like_reply_id)}))
    names = ("replies", "dates", "like_replies", "like_dates")
    columns = map(list, zip(*map(astuple, shorts), strict=True))
    parameters = dict(zip(names, columns, strict=True))
    rows = cursor.execute(load("staging_select_missing_times"), parameters).fetchall()
    cursor.execute("drop table temp.staged_body")
    return {
        short: tuple(Times(*row[1:]) for row in rows if row[0] == number)
        for number, short in enumerate(shorts, start=1)
    }
