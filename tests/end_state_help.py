"""One staging file and one database through time, and what a single download afterwards holds."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from kitepipe import pipeline
from kitepipe.model import Interval, Window, utc_now
from kitepipe.plan import Bounds
from kitepipe.progress import Progress, Silent
from kitepipe.sandbox import Sandbox
from kitepipe.sessions import period_of
from kitepipe.staging import as_utc
from kitepipe.summary import RunReport
from tests.box_help import Box
from tests.fetch_help import rows
from tests.servers import Look, Template, looking

Table = set[tuple[str, ...]]

# Every candle column, by what names the candle in any database: instrument_id is each one's own.
# As text to the last digit: to make objects of tables took a fifth of these tests' time.
_TABLE = (
    "select concat_ws('|', coalesce(i.exchange, '-'), coalesce(i.tradingsymbol, '-'), "
    "coalesce(i.expiry::text, '-'), coalesce(i.continuous::text, '-'), h.candle_interval, "
    "h.date at time zone 'UTC', h.open, h.high, h.low, h.close, h.volume, "
    "coalesce(h.oi::text, '-')) "
    "from kite_ohlcv_historic as h left join kite_instruments as i using (instrument_id)"
)


def table(look: Look) -> Table:
    """Return the candle columns of kite_ohlcv_historic, as text; instants in UTC."""
    found = [tuple(row.split("|")) for (row,) in look(_TABLE)]
    assert len(set(found)) == len(found), "a candle stands there twice"
    return set(found)


def differing(one: Iterable[Any], other: Iterable[Any]) -> list[Any]:
    """Return a few of the candles that only one of them has: a whole diff takes minutes."""
    return sorted(set(one) ^ set(other), key=str)[:3]


class Course:
    """Runs at many instants into one staging file and one database; `seen` is the table after each.

    The sandbox's clock is moved; this machine's stands later, and the earlier of both counts.
    """

    def __init__(self, kite: Sandbox, folder: Path, dsn: str, **settings: Any) -> None:
        self.kite = kite
        self.settings = Box(folder, kite, dsn).settings(**settings)
        self.seen: list[Table] = []
        self.requests = 0

    def run(
        self,
        at: datetime | None = None,
        progress: Progress | None = None,
        ahead: timedelta = timedelta(0),
        **bounds: Any,
    ) -> RunReport:
        """Run as `kitepipe run` does at an instant of Kite's clock; ours may be `ahead`."""
        if at:
            self.kite.set_now(at)
        before = self.kite.requests.historical
        report = pipeline.run(
            self.settings,
            Bounds(**bounds),
            progress or Silent(),
            clock=lambda: utc_now() + ahead,
        )
        self.requests = self.kite.requests.historical - before
        self.seen.append(self.table())
        return report

    def table(self) -> Table:
        """Return the table as a second connection sees it."""
        with looking(str(self.settings.dsn)) as look:
            return table(look)

    def last_dates(self) -> set[Any]:
        """Return the newest trade date of each series."""
        with looking(str(self.settings.dsn)) as look:
            found = look(
                "select max(trade_date)::text from kite_ohlcv "
                "group by exchange, tradingsymbol, candle_interval"
            )
        return {day for (day,) in found}

    def intervals(self, *names: str) -> None:
        """Ask for these from now on."""
        self.settings = replace(self.settings, candle_interval=tuple(map(Interval, names)))

    @contextmanager
    def watched(self) -> Iterator[set[frozenset[Any]]]:
        """Look at the table all the time from another connection; yields what was seen."""
        seen: set[frozenset[Any]] = set()
        over = threading.Event()

        def watch() -> None:
            with looking(str(self.settings.dsn)) as look:
                known = None
                while not over.is_set():
                    if (now := look("select pg_current_snapshot()::text")) != known:
                        seen.add(frozenset(table(look)))
                        known = now  # what is committed since then is a snapshot of its own
                    over.wait(0.005)

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield seen
        finally:
            over.set()
            thread.join()

    def asked_in_vain(self) -> list[str]:
        """Return the requests for dates that were settled before, but for one shared session."""
        found = rows(
            self.settings.staging,
            "select instrument_key, interval, first_date, last_date, settled_through, "
            "last_settled_candle, asked_at from reply join chunk using (chunk_id) "
            "order by reply_id",
        )
        known: dict[tuple[Any, ...], _Asked] = {}
        wasted = []
        for key, interval, first, last, settled, session, asked_at in found:
            asked = known.setdefault((key, interval), _Asked())
            why = asked.judge(Window(first, last), period_of(_utc(asked_at)))
            if why:
                wasted.append(f"{interval} {first}..{last}: {why}")
            asked.learn(Window(first, last), settled, session, period_of(_utc(asked_at)))
        return wasted


def _utc(naive: datetime) -> datetime:
    aware = as_utc(naive)
    assert aware is not None
    return aware


class _Asked:
    """What one series had been answered so far."""

    def __init__(self) -> None:
        self.settled: set[Any] = set()
        self.session: Any = None
        self.period: Any = None

    def judge(self, window: Window, period: Any) -> str:
        again = sorted(day for day in _days(window) if day in self.settled)
        shared = period != self.period and self.session
        if again and not shared:
            return f"{again[0]} was settled"
        # From the shared session on there may be dates without a candle: they cost nothing.
        if again and again[0] != self.session:
            return f"{again[0]} is not the newest session {self.session}"
        return ""

    def learn(self, window: Window, settled: Any, session: Any, period: Any) -> None:
        self.settled |= {day for day in _days(window) if day <= settled}
        self.session = max(filter(None, [self.session, session]), default=None)
        self.period = period


def _days(window: Window) -> list[Any]:
    return [window.first + timedelta(days=n) for n in range(window.days)]


def downloaded(course: Course, template: Template, folder: Path) -> Table:
    """Return what one download made now holds, in a staging file and a database of its own."""
    folder.mkdir(exist_ok=True)
    with template.database() as dsn:
        fresh = Course(course.kite, folder, dsn)
        fresh.settings = replace(
            course.settings, staging=fresh.settings.staging, dsn=fresh.settings.dsn
        )
        report = fresh.run()
        assert (report.fetch.failures, report.load.failures) == ([], [])
        return fresh.seen[0]
