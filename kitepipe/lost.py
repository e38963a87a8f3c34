"""What can no longer be asked: instruments that left Kite's list before their life was covered.

A token that the newest dump lacks is not asked any more: it may be another contract's tomorrow.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from kitepipe.config import Settings
from kitepipe.doors import wanted_instruments
from kitepipe.model import Instrument, Interval, Window
from kitepipe.plan import merge, subtract
from kitepipe.sessions import settled_through
from kitepipe.sql import load
from kitepipe.staging import Cursor, as_utc, transaction
from kitepipe.staging_instruments import has_continuous
from kitepipe.staging_series import select_known
from kitepipe.summary import Failure

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Lost:
    """One series that can no longer be asked: its key, when it went, and the dates it lacks."""

    instrument_key: int
    snapshot_id: int
    interval: str
    is_named: bool
    failure: Failure


@dataclass(frozen=True, slots=True)
class _Life:
    """What staging knows of one series of an instrument that is gone; dates are IST."""

    instrument: Instrument
    interval: Interval
    gone_on: date
    since: date
    first_candle: date | None
    asked_from: date | None
    newest: Window | None
    fetched_at: datetime | None

    def span(self) -> Window | None:
        """All dates that there were to ask, as far as anybody knows."""
        first = self.first_candle or (self.since if self.asked_from is None else self.asked_from)
        last = min(self.gone_on - _DAY, self.instrument.expiry or self.gone_on)
        return Window(first, last) if first <= last else None

    def answered(self, margin: timedelta) -> list[Window]:
        """The dates that the newest reply answered after their close, with a candle or without."""
        if self.newest is None or self.fetched_at is None:
            return []
        over = settled_through(self.instrument.exchange, self.fetched_at, margin)
        last = min(self.newest.last, over)
        return [Window(self.newest.first, last)] if self.newest.first <= last else []


def all_losses(settings: Settings, today: date, cursor: Cursor) -> list[Lost]:
    """Return what was listed once, is wanted, and lacks sessions that can no longer be asked.

    Sessions are taken from what traded on the same exchange; dates that nothing staged speaks of
    yet count as such. What expired first comes first.
    """
    margin = timedelta(minutes=settings.settle_margin_minutes)
    gone, lacking = _gone(settings, today, cursor), []
    known = select_known(cursor, oi=None, keys={row[0] for row in gone}) if gone else {}
    for row in gone:
        life, key = _life(row), row[0]
        stitched = settings.continuous and life.interval is Interval.DAY
        if stitched and has_continuous(life.instrument):
            continue
        staged = known.get((key, life.interval.value, False))
        covered = [*(staged.known.covered if staged else ()), *life.answered(margin)]
        span = life.span()
        if span and (gaps := subtract(span, merge(covered))):
            lacking.append((row, life, gaps))
    sessions = _sessions(cursor, (gaps[0].first for _, _, gaps in lacking))
    return [
        Lost(row[0], row[1], life.interval.value, row[-1], _failure(life, window))
        for row, life, gaps in lacking
        if (window := _with_sessions(gaps, sessions.get(life.instrument.exchange)))
    ]


def new_losses(settings: Settings, today: date, cursor: Cursor) -> list[Failure]:
    """Return the losses that were not named before, and remember that they are now."""
    fresh = [one for one in all_losses(settings, today, cursor) if not one.is_named]
    with transaction(cursor):
        for one in fresh:
            cursor.execute(
                load("staging_insert_named_loss"),
                {
                    "instrument_key": one.instrument_key,
                    "interval": one.interval,
                    "snapshot_id": one.snapshot_id,
                },
            )
    return [one.failure for one in fresh]


def _gone(settings: Settings, today: date, cursor: Cursor) -> list[tuple[Any, ...]]:
    if not cursor.execute("from instrument where gone limit 1").fetchall():
        return []  # 13 ms less, while Kite has dropped nothing yet
    predicate, parameters = wanted_instruments(settings, today).duckdb()
    query = load("staging_select_lost").format(predicate=predicate)
    intervals = {"intervals": [interval.value for interval in settings.candle_interval]}
    return cursor.execute(query, parameters | intervals).fetchall()


def _life(row: tuple[Any, ...]) -> _Life:
    _, _, exchange, symbol, kind, name, expiry, gone_on, since, interval, *asked = row
    first_candle, asked_from, first, last, fetched_at, _ = asked
    return _Life(
        Instrument(0, exchange, symbol, name, kind, expiry=expiry),
        Interval(interval),
        gone_on,
        since,
        first_candle,
        asked_from,
        Window(first, last) if first and last else None,
        as_utc(fetched_at),
    )


_Sessions = tuple[date, frozenset[date]]  # the last date that replies settle, and the sessions


def _sessions(cursor: Cursor, firsts: Iterable[date]) -> Mapping[str, _Sessions]:
    since = min(firsts, default=None)
    if since is None:
        return {}
    rows = cursor.execute(load("staging_select_session_dates"), {"since": since}).fetchall()
    return {exchange: (through, frozenset(days or ())) for exchange, through, days in rows}


def _with_sessions(gaps: Iterable[Window], known: _Sessions | None) -> Window | None:
    """Return the first to the last date in `gaps` that was a session, or may have been one."""
    through, sessions = known or (date.min, frozenset())
    days = [
        day
        for gap in gaps
        for day in (gap.first + number * _DAY for number in range(gap.days))
        if day in sessions or day > through
    ]
    return Window(days[0], days[-1]) if days else None


def _failure(life: _Life, window: Window) -> Failure:
    instrument = life.instrument
    expired = instrument.expiry is not None and instrument.expiry < life.gone_on
    why = (
        f"expired on {instrument.expiry}" if expired else "delisted, or renamed beyond recognition"
    )
    return Failure(
        f"{instrument} {life.interval} {window}",
        f"lost: Kite lists it no more since {life.gone_on} ({why}), and these dates were never "
        "covered",
    )
