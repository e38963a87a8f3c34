"""What staging knows of series: their coverage, their price base, the replies that decide."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import NamedTuple

import duckdb

from kitepipe.model import Interval, Reply, Series, Window
from kitepipe.plan import Known
from kitepipe.sql import load
from kitepipe.staging import as_utc, naive
from kitepipe.staging_replies import Rebase, read_archived_bodies, read_bodies

FIRST_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

SeriesKey = tuple[int, str, bool]  # instrument_key, interval, continuous


def key_of(series: Series) -> SeriesKey:
    """Return how staging tells series apart."""
    return series.instrument_key, series.staged_as, series.continuous


def side_by_side(keys: Sequence[SeriesKey]) -> dict[str, object]:
    """Return series as SQL takes them: the lists $keys, $intervals and $continuous."""
    names = ("keys", "intervals", "continuous")
    return {name: [key[place] for key in keys] for place, name in enumerate(names)}


@dataclass(frozen=True, slots=True)
class StagedKnowledge:
    """What is known of a series: for the plan, its present epoch, whether it was asked with oi."""

    known: Known
    epoch: datetime = FIRST_EPOCH
    fetched_at: datetime | None = None
    oi: bool = False


def note_known(cursor: duckdb.DuckDBPyConnection, *, oi: bool | None) -> None:
    """Work out what is known of every staged series; with `oi`, by replies that were asked so.

    Where a series was ever asked with oi, such replies alone count anyway; with None all do.
    """
    cursor.execute(load("staging_create_known"), {"oi": oi})


def select_noted(
    cursor: duckdb.DuckDBPyConnection, keys: Collection[int] | None = None
) -> dict[SeriesKey, StagedKnowledge]:
    """Return what `note_known` noted of the instruments with these keys, or of all."""
    parameters = {"keys": None if keys is None else list(keys)}
    rows = cursor.execute(load("staging_select_known"), parameters).fetchall()
    known = {}
    for (
        key,
        interval,
        continuous,
        epoch,
        fetched_at,
        period,
        first,
        last,
        with_oi,
        *islands,
    ) in rows:
        covered = tuple(map(Window, *islands))
        known[key, interval, continuous] = StagedKnowledge(
            Known(covered, last, period, first),
            epoch.replace(tzinfo=UTC),
            fetched_at.replace(tzinfo=UTC),
            with_oi,
        )
    return known


def select_known(
    cursor: duckdb.DuckDBPyConnection, *, oi: bool | None, keys: Collection[int] | None = None
) -> dict[SeriesKey, StagedKnowledge]:
    """Return what is known of staged series, as `note_known` and `select_noted` do."""
    note_known(cursor, oi=oi)
    return select_noted(cursor, keys)


def keep_oi(series: Iterable[Series], known: Mapping[SeriesKey, StagedKnowledge]) -> list[Series]:
    """Return the series, with oi those that were ever asked so.

    Replies without would take it from the dates that they decide.
    """
    had = {key for key, staged in known.items() if staged.oi}
    return [replace(one, oi=True) if key_of(one) in had else one for one in series]


def find_rebase(
    cursor: duckdb.DuckDBPyConnection, series: Series, epoch: datetime, session: date, reply: Reply
) -> Rebase | None:
    """Compare a new reply with what staging holds of `session`; tell whether history was re-based.

    It was where all prices differ by one constant factor, rounding aside. Any other difference is
    a correction, and None: the newer reply decides.
    """
    old = _reference(cursor, series, epoch, session)
    if old is None or _as_written(old, session) == _as_written(reply.body, session) != "":
        return None
    [row] = cursor.execute(
        load("staging_compare_bases"),
        {
            "old": old,
            "new": reply.body,
            "session": session,
            "is_day": series.interval is Interval.DAY,
        },
    ).fetchall()
    compared, lower, upper, differing, ratio = row
    if not compared or not differing or lower > upper or lower <= 1 <= upper:
        return None
    return Rebase(ratio, session)


def _as_written(body: str, session: date) -> str:
    """Return what a body has from the first array of a session to its last; "" where none is.

    Where two have the same, nothing was re-based and nothing corrected. To see that takes 0.06 ms
    for two sessions of minutes, and SQL 14.
    """
    start = f'["{session}'
    first = body.find(start)
    return body[first : body.find("]", body.rfind(start))] if first >= 0 else ""


def _reference(
    cursor: duckdb.DuckDBPyConnection, series: Series, epoch: datetime, session: date
) -> str | None:
    found = cursor.execute(
        load("staging_select_reference"),
        {
            "instrument_key": series.instrument_key,
            "interval": series.staged_as,
            "continuous": series.continuous,
            "session": session,
            "epoch": naive(epoch),
        },
    ).fetchall()
    reply_id: int | None
    body: str | None
    reply_id, body = found[0] if found else (None, None)
    if reply_id is None:
        return body
    bodies = read_bodies(cursor, [reply_id]) or read_archived_bodies(cursor, [reply_id])
    return bodies[reply_id].decode()


@dataclass(frozen=True, slots=True)
class StagedReply:
    """One staged reply of a series, without its body; dates are IST, instants UTC."""

    reply_id: int
    sha256: str
    fetched_at: datetime
    window: Window
    last_settled: date
    settled_through: date
    rows: int
    bytes: int
    first_candle: date | None
    last_candle: date | None

    @property
    def settled(self) -> Window | None:
        """The dates that this reply settles, None where it settles none."""
        first = self.window.first
        return Window(first, self.last_settled) if first <= self.last_settled else None


@dataclass(frozen=True, slots=True)
class StagedSeries:
    """A series that has something to load."""

    key: SeriesKey
    exchange: str
    tradingsymbol: str
    replies: int
    bytes: int
    first_candle: date | None
    last_candle: date | None

    def __str__(self) -> str:
        suffix = " continuous" if self.key[2] else ""
        return f"{self.exchange}:{self.tradingsymbol} {self.key[1]}{suffix}"


def select_staged_series(
    cursor: duckdb.DuckDBPyConnection, loaded: dict[str, object], as_of: datetime | None
) -> list[StagedSeries]:
    """Return the series with replies outside `loaded` ({"reply_id": int64 array})."""
    cursor.register("loaded_reply", loaded)
    try:
        rows = cursor.execute(
            load("staging_select_staged_series"), {"as_of": naive(as_of)}
        ).fetchall()
    finally:
        cursor.unregister("loaded_reply")
    return [StagedSeries((row[0], row[1], row[2]), *row[3:]) for row in rows]


def select_claims(
    cursor: duckdb.DuckDBPyConnection, keys: list[SeriesKey], as_of: datetime | None
) -> dict[SeriesKey, list[StagedReply]]:
    """Return every staged reply of these series, oldest id first."""
    claims: dict[SeriesKey, list[StagedReply]] = {key: [] for key in keys}
    parameters = side_by_side(keys) | {"as_of": naive(as_of)}
    rows = cursor.execute(load("staging_select_claims"), parameters).fetchall()
    for key, interval, continuous, reply_id, sha256, fetched_at, first, last, *rest in rows:
        claims[key, interval, continuous].append(
            StagedReply(
                reply_id, sha256, fetched_at.replace(tzinfo=UTC), Window(first, last), *rest
            )
        )
    return claims


class Rebased(NamedTuple):
    """When a series was seen re-based, by what ratio (new over old prices), on which session."""

    epoch: datetime
    ratio: float
    session: date


def select_epochs(
    cursor: duckdb.DuckDBPyConnection, as_of: datetime | None
) -> dict[SeriesKey, list[Rebased]]:
    """Return when each re-based series was re-based, and how, oldest first."""
    epochs: dict[SeriesKey, list[Rebased]] = {}
    rows = cursor.execute(load("staging_select_epochs"), {"as_of": naive(as_of)}).fetchall()
    for key, interval, continuous, epoch, ratio, session in rows:
        instant = as_utc(epoch)
        assert instant is not None
        epochs.setdefault((key, interval, continuous), []).append(Rebased(instant, ratio, session))
    return epochs


def select_adopted(cursor: duckdb.DuckDBPyConnection) -> dict[SeriesKey, list[Window]]:
    """Return the dates of each series that were found covered in the warehouse."""
    adopted: dict[SeriesKey, list[Window]] = {}
    for key, interval, continuous, *dates in cursor.execute(
        load("staging_select_adopted")
    ).fetchall():
        adopted.setdefault((key, interval, continuous), []).append(Window(*dates))
    return adopted
