"""Candles that a caller holds in Python, through the same lock, ledger and series row as a load.

For a handful of candles: a load's never become Python objects, these are.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import uuid4

import numpy as np
import numpy.typing as npt

from kitepipe.candle import OHLCVCandle, verdicts
from kitepipe.candle_checksum import PRICES
from kitepipe.model import IST, Interval, utc_now
from kitepipe.warehouse_copy import CANDLE_COLUMNS, Columns
from kitepipe.warehouse_rows import (
    NEVER_REBASED,
    LedgerEntry,
    QuarantinedCandle,
    ReplyCounts,
    instant,
)
from kitepipe.warehouse_series import SeriesTransaction

Given = OHLCVCandle | dict[str, Any] | Sequence[Any]


@dataclass(frozen=True, slots=True)
class Judged:
    """Good candles as columns by time, and the bad ones as (position, rule, raw text)."""

    good: Columns
    bad: list[tuple[int, str, str]]
    sha256: str


def judge(given: Sequence[Given], interval: Interval) -> Judged:
    """Tell good candles from bad; of equal ones at one instant the first is taken."""
    candles = [_candle(one) for one in given]
    rules = verdicts(candles, interval)
    raws = [_raw(candle) for candle in given]
    bad = [
        (position, rule, raws[position]) for position, rule in enumerate(rules) if rule is not None
    ]
    good: dict[int, OHLCVCandle] = {}
    for candle, rule in zip(candles, rules, strict=True):
        if rule is None:
            good.setdefault(candle.at_us(interval), candle)
    sha256 = hashlib.sha256("\n".join(raws).encode("utf-8", "backslashreplace")).hexdigest()
    return Judged(_columns(dict(sorted(good.items()))), bad, sha256)


def upsert(transaction: SeriesTransaction, judged: Judged, *, oi: bool) -> ReplyCounts:
    """Write what differs; where nothing does and all are good, nothing is written at all.

    Without `oi` the candles say nothing about open interest: what the table has stays.
    """
    good = judged.good
    span = (int(good["at_us"][0]), int(good["at_us"][-1])) if len(good["at_us"]) else None
    stored = transaction.existing(*span) if span else None
    good, found, differs = _compare(good, stored, oi=oi)
    new, changed = ~found, found & differs
    counts = ReplyCounts(
        new=int(new.sum()),
        changed=int(changed.sum()),
        equal=int((found & ~differs).sum()),
        quarantined=len(judged.bad),
    )
    if counts.new + counts.changed + counts.quarantined:
        _write(transaction, judged, counts, _take(good, new), _take(good, changed), span)
    return counts


def _write(
    transaction: SeriesTransaction,
    judged: Judged,
    counts: ReplyCounts,
    new: Columns,
    changed: Columns,
    span: tuple[int, int] | None,
) -> None:
    state = transaction.state()
    entry = _entry(judged.sha256, span)
    batch_id = transaction.claim([entry])[entry.key]
    transaction.copy_new(new, batch_id)
    transaction.update_changed(changed, batch_id)
    transaction.quarantine(
        QuarantinedCandle(*entry.key, position, rule, raw) for position, rule, raw in judged.bad
    )
    transaction.finish({entry.key: counts}, state.epoch if state else NEVER_REBASED)


def _entry(sha256: str, span: tuple[int, int] | None) -> LedgerEntry:
    """A ledger row that decides nothing: a later reply is free to say otherwise."""
    now = utc_now()
    ends = [instant(at_us) for at_us in span] if span else [now, now]
    first, last = (_ist_date(end) for end in ends)
    return LedgerEntry(f"upsert-{uuid4()}", 0, sha256, now, first, last, None, None)


def _ist_date(moment: datetime) -> date:
    return moment.astimezone(IST).date()


def _columns(good: dict[int, OHLCVCandle]) -> Columns:
    candles = list(good.values())
    columns: Columns = {"at_us": np.array(list(good), dtype=np.int64)}
    for name in PRICES:
        columns[name] = np.array([float(getattr(c, name)) for c in candles], dtype=np.float64)
    columns["volume"] = np.array([int(c.volume) for c in candles], dtype=np.int64)
    columns["oi"] = np.ma.masked_array(
        np.array([int(c.oi or 0) for c in candles], dtype=np.int64),
        mask=np.array([c.oi is None for c in candles], dtype=bool),
    )
    return columns


def _compare(
    good: Columns, stored: Columns | None, *, oi: bool
) -> tuple[Columns, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return the candles to write, which of them the table has, and which differ there."""
    rows = len(good["at_us"])
    found = np.zeros(rows, dtype=bool)
    if stored is None or not len(stored["at_us"]):
        return _with_oi(good, None) if not oi else good, found, found
    place = np.minimum(np.searchsorted(stored["at_us"], good["at_us"]), len(stored["at_us"]) - 1)
    found = stored["at_us"][place] == good["at_us"]
    there = {name: stored[name][place] for name in CANDLE_COLUMNS}
    if not oi:
        missing = np.ma.getmaskarray(there["oi"]) | ~found
        good = _with_oi(good, np.ma.masked_array(np.ma.getdata(there["oi"]), mask=missing))
    differs = np.zeros(rows, dtype=bool)
    for name in (*PRICES, "volume"):
        differs |= good[name] != there[name]
    missing = np.ma.getmaskarray(good["oi"])
    differs |= missing != np.ma.getmaskarray(there["oi"])
    differs |= ~missing & (np.ma.getdata(good["oi"]) != np.ma.getdata(there["oi"]))
    return good, found, differs


def _with_oi(good: Columns, oi: npt.NDArray[Any] | None) -> Columns:
    rows = len(good["at_us"])
    unknown = np.ma.masked_array(np.zeros(rows, dtype=np.int64), mask=True)
    return good | {"oi": unknown if oi is None else oi}


def _take(columns: Columns, chosen: npt.NDArray[np.bool_]) -> Columns:
    return {name: columns[name][chosen] for name in CANDLE_COLUMNS}


def _candle(given: Given) -> OHLCVCandle:
    return given if isinstance(given, OHLCVCandle) else OHLCVCandle.from_kite_response(given)


def _raw(given: Given) -> str:
    """What was given, as JSON text, for the quarantine and the checksum."""
    return json.dumps(given.to_dict() if isinstance(given, OHLCVCandle) else given, default=str)
