"""From raw bodies to columns of candles: numpy reads plain ones, SQL any other, and SQL judges all.

A parser is for one thread; its temp tables are its own. The rules stand in the SQL files, and in
`OHLCVCandle.validate()`.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt

from kitepipe.candle_checksum import CandleHasher
from kitepipe.model import Body, Interval, Window
from kitepipe.sql import load
from kitepipe.staging import Staging
from kitepipe.staging_plain import Columns as Columns
from kitepipe.staging_plain import instants, read_replies
from kitepipe.staging_replies import read_archived_bodies, read_bodies, select_bodies
from kitepipe.staging_series import StagedReply

# From here on replies that SQL has to judge one by one are judged by one thread at a time.
_LARGE_BYTES = 256 * 1024
_PACK_BYTES = 512 * 1024  # a reply of so many has most of a pack of sealed bodies to itself
_PLAIN = ("segment", "plain_candle", "parsed_plain", "judgement")
# What reads the texts of candles: a load that meets only plain and good ones saves 17 ms.
_TEXTS = ("picked", "cut_plain", "cut_json", "cut_typed", "typed_candle")
_STORED = ("reply_id", "open", "high", "low", "close", "volume", "oi")


@dataclass(frozen=True, slots=True)
class Part:
    """One reply with the dates that it decides."""

    reply: StagedReply
    decides: tuple[Window, ...]


@dataclass(frozen=True, slots=True)
class BadCandle:
    """A candle that broke a rule; `position` counts from 0 in its reply.

    `trade_date` is None where its date is unknown or outside the window.
    """

    reply_id: int
    position: int
    rule: str
    raw: str
    trade_date: date | None


@dataclass(frozen=True, slots=True)
class Parsed:
    """The candles of some replies of one series.

    `candles` are the good ones by time: reply_id, at_us (UTC microseconds), open, high, low,
    close, volume, oi (masked where there is none). `held` counts by reply_id.
    """

    candles: Columns
    bad: list[BadCandle]
    held: dict[int, int]


@dataclass(frozen=True, slots=True)
class Delta:
    """What is to be written: columns as in `Parsed`, of `gone` only reply_id and at_us.

    `equal` counts by reply_id what stands in the warehouse already.
    """

    new: Columns
    changed: Columns
    gone: Columns
    equal: dict[int, int]


class CandleParser:
    """Parses replies on a cursor of its own."""

    def __init__(self, staging: Staging) -> None:
        self._memory, self._cursor = staging.memory, staging.cursor()
        self._kept: Mapping[int, Body] = {}
        self._plain: Columns = {}
        self._candles: Columns = {}
        self._way, self._has_texts = "plain", False
        self._chosen: Sequence[Part] | None = None
        self._hasher = CandleHasher()
        try:
            self._define()
        except BaseException:
            self._cursor.close()
            raise

    def _define(self) -> None:
        """Make views, bound to the temp tables when they are used."""
        self._pick([])
        offer_plain(self._cursor, *read_replies({}))
        self._cursor.execute("set variable interval_minutes = 1")
        for name in _PLAIN:
            self._cursor.execute(load(f"staging_create_{name}"))

    def _need_texts(self) -> None:
        """Make the views and macros that read texts, once."""
        if not self._has_texts:
            select_bodies(self._cursor, [])
            for name in _TEXTS:
                self._cursor.execute(load(f"staging_create_{name}"))
            self._has_texts = True

    def close(self) -> None:
        """Give the cursor back, and with it the temp tables; and what was parsed last."""
        self._cursor.close()
        self._kept, self._plain, self._candles, self._chosen = {}, {}, {}, None

    def keep_bodies(self, reply_ids: Sequence[int]) -> None:
        """Read these bodies in one go, but for archived ones (many small series at once)."""
        self._kept = read_bodies(self._cursor, reply_ids, self._memory.open_bodies)

    def is_plain(self, parts: Sequence[Part]) -> bool:
        """Tell whether all these replies have Kite's plain form, which takes little memory.

        `parse`, given the same list next, does not look again.
        """
        self._chosen = None
        self._pick(parts)
        if self._kept.keys() >= set(self._picked):
            bodies = {reply_id: self._kept[reply_id] for reply_id in self._picked}
        else:
            bodies = read_bodies(
                *(self._cursor, self._picked, self._memory.open_bodies),
                one_by_one=min((part.reply.bytes for part in parts), default=0) >= _PACK_BYTES,
            )
            if away := set(self._picked) - bodies.keys():
                with self._memory.for_a_judge():
                    bodies |= read_archived_bodies(self._cursor, sorted(away))
        plain, self._plain = read_replies(bodies)
        offer_plain(self._cursor, plain, self._plain)
        self._choose_way(len(plain) == len(parts))
        self._chosen = parts
        return self._way == "plain"

    def parse(self, parts: Sequence[Part], interval: Interval) -> Parsed:
        """Return the candles of the dates that each reply decides, judged by every rule."""
        if parts is not self._chosen:
            self.is_plain(parts)
        self._cursor.execute(f"set variable interval_minutes = {interval.minutes}")
        if (clean := self._clean_candles(interval)) is not None:
            parsed = Parsed(clean, [], dict.fromkeys(self._picked, 0))
        else:
            with self._room(parts):
                parsed = self._judged()
        self._candles = parsed.candles
        return parsed

    def _clean_candles(self, interval: Interval) -> Columns | None:
        """Return the candles where all are plain, good and decided; None where any may not be.

        So is what a history brings: SQL says yes, and none of them is fetched from there.
        """
        if self._way != "plain":
            return None
        (odd,) = self._cursor.execute(load("staging_select_any_odd")).fetchall()[0]
        if odd:
            return None
        at_us = instants(self._plain["ist_us"], interval)
        candles, repeated = _by_time({"at_us": at_us, **{n: self._plain[n] for n in _STORED}})
        return None if repeated else candles

    def _judged(self) -> Parsed:
        if self._way == "any":
            self._select_texts()
        self._cursor.execute(load("staging_create_judged_candle"))
        self._cursor.execute(load("staging_create_nothing_repeated"))
        candles, repeated = self._select_candles()
        if repeated:
            self._cursor.execute(load("staging_create_repeated_candle"))
            candles, _ = self._select_candles()
        counts = self._cursor.execute(load("staging_select_candle_counts")).fetchall()
        is_bad = any(row[4] for row in counts)
        return Parsed(candles, self._bad() if is_bad else [], {row[0]: row[2] for row in counts})

    def _select_texts(self) -> None:
        self._need_texts()
        select_bodies(self._cursor, self._picked, self._memory.open_bodies)

    def _choose_way(self, is_plain: bool) -> None:
        """Let `parsed_candle` be the plain way where that will do: it is planned much faster."""
        way = "plain" if is_plain else "any"
        if way != self._way:
            self._need_texts()
            self._cursor.execute(load(f"staging_create_parsed_{way}"))
            self._way = way

    def _select_candles(self) -> tuple[Columns, bool]:
        """Return the good candles by time, and whether an instant stands there twice."""
        candles = self._cursor.execute(load("staging_select_candles")).fetchnumpy()
        return _by_time(candles)

    def _room(self, parts: Sequence[Part]) -> contextlib.AbstractContextManager[None]:
        is_large = sum(part.reply.bytes for part in parts) > _LARGE_BYTES
        return self._memory.for_a_judge() if is_large else contextlib.nullcontext()

    def _bad(self) -> list[BadCandle]:
        if self._way == "plain":  # their texts were not needed in SQL until now
            self._select_texts()
        self._cursor.execute(load("staging_create_quarantine"))
        rows = self._cursor.execute(load("staging_select_quarantine")).fetchall()
        return [BadCandle(*row) for row in rows]

    def compare(self, existing: Mapping[str, npt.NDArray[Any]]) -> Delta:
        """Compare what `parse` gave last with the candles of the warehouse (at_us ... oi)."""
        with self._beside(existing):
            self._cursor.execute(load("staging_create_candle_delta"))
        counts = self._cursor.execute(load("staging_select_delta_counts")).fetchall()
        return Delta(
            new=self._changed("new"),
            changed=self._changed("changed"),
            gone=self._changed("gone"),
            equal={row[0]: row[4] for row in counts},
        )

    def checksum(self) -> tuple[int, int]:
        """Return count and checksum of what `parse` gave last."""
        return self._hasher.checksum(self._candles)

    def differences(
        self, existing: Mapping[str, npt.NDArray[Any]], most: int
    ) -> list[tuple[Any, ...]]:
        """Return up to `most` differences from the warehouse: at_us, change, both sides."""
        with self._beside(existing):
            self._cursor.execute(load("staging_create_candle_delta"))
            statement = load("staging_select_differences")
            return self._cursor.execute(statement, {"most": most}).fetchall()

    @contextlib.contextmanager
    def _beside(self, existing: Mapping[str, npt.NDArray[Any]]) -> Iterator[None]:
        """Let SQL see what `parse` gave last, as `candle`, beside candles of the warehouse."""
        self._cursor.register("candle", self._candles)
        self._cursor.register("existing", dict(existing))
        try:
            yield
        finally:
            self._cursor.unregister("existing")
            self._cursor.unregister("candle")

    def _changed(self, kind: str) -> Columns:
        statement = load("staging_select_candle_delta")
        return self._cursor.execute(statement, {"change": kind}).fetchnumpy()

    def _pick(self, parts: Sequence[Part]) -> None:
        replies = [part.reply for part in parts]
        self._picked = [reply.reply_id for reply in replies]
        self._cursor.execute(
            load("staging_create_wanted_reply"),
            {
                "ids": self._picked,
                "firsts": [reply.window.first for reply in replies],
                "lasts": [reply.window.last for reply in replies],
                "settled": [reply.settled_through for reply in replies],
                "decides_first": [[run.first for run in part.decides] for part in parts],
                "decides_last": [[run.last for run in part.decides] for part in parts],
            },
        )


def offer_plain(cursor: duckdb.DuckDBPyConnection, plain: Sequence[int], candles: Columns) -> None:
    """Let SQL see what `read_replies` gave: as `plain_column`, of the replies in `plain_reply`."""
    cursor.register("plain_column", candles)
    cursor.execute(load("staging_create_plain_reply"), {"ids": plain})


def _by_time(columns: Columns) -> tuple[Columns, bool]:
    """Sort columns by at_us, and tell whether an instant is there twice.

    They are nearly always sorted: to look takes a tenth of what SQL takes to sort, or to group.
    """
    at_us = columns["at_us"]
    if (at_us[1:] > at_us[:-1]).all():
        return columns, False
    order = np.argsort(at_us)
    columns = {name: column[order] for name, column in columns.items()}
    at_us = columns["at_us"]
    return columns, bool((at_us[1:] == at_us[:-1]).any())


def count_by_reply(columns: Columns) -> dict[int, int]:
    """Return how many rows each reply has in some columns; those of a reply mostly are together."""
    ids = columns["reply_id"]
    starts = np.flatnonzero(np.append(ids.size > 0, ids[1:] != ids[:-1]))
    counts: dict[int, int] = {}
    for reply_id, rows in zip(ids[starts].tolist(), np.diff(starts, append=ids.size), strict=True):
        counts[reply_id] = counts.get(reply_id, 0) + int(rows)
    return counts
