"""What the tests of holes share: a sandbox that loses candles, and a few evenings of runs."""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from kitepipe import pipeline
from kitepipe.model import IST, Gap, GapKind, Interval, Window
from kitepipe.sandbox import Sandbox
from kitepipe.summary import FetchReport, StatusReport
from tests.fetch_help import asked, fetch, settings_for
from tests.sandbox_asking import ist

BEGIN = date(2026, 9, 1)
LOST = date(2026, 10, 7)  # a Wednesday
EVENINGS = [ist(2026, 11, day, 20) for day in (16, 17, 18, 19)]


class Place:
    """A sandbox with some instruments, their history since September, and runs in the evening."""

    def __init__(self, kite: Sandbox, folder: Path, **more: Any) -> None:
        self.kite = kite
        self.settings = settings_for(kite, folder / "s.duckdb", bootstrap_date=BEGIN, **more)
        self.kite.set_now(EVENINGS[0])

    def lose(
        self,
        symbol: str,
        *days: date,
        interval: Interval = Interval.DAY,
        since: datetime | None = None,
    ) -> None:
        """Let all candles of these dates vanish from Kite's history."""
        step = timedelta(minutes=interval.minutes)
        for day in days:
            at = datetime.combine(day, time(0 if interval is Interval.DAY else 9), IST)
            at += timedelta(minutes=0 if interval is Interval.DAY else 15)
            while at.date() == day and at.hour < 16:
                self.kite.correct(symbol, interval, at, gone=True, since=since)
                at += step

    def fetch(self, evening: int = 0, **bounds: Any) -> FetchReport:
        """Run the stage on one of the evenings."""
        self.kite.set_now(EVENINGS[evening])
        self.kite.clear_log()
        return fetch(self.kite, self.settings, **bounds)

    def asked(self) -> list[tuple[str, Window]]:
        """Return what the last run asked: symbol and window."""
        names = {self.kite.token_of(symbol): symbol for symbol in self.settings.tradingsymbols}
        return [(names[one.token], one.window) for one in asked(self.kite)]

    def status(self) -> StatusReport:
        """Look, as `status --gaps`."""
        return pipeline.status(self.settings, gaps=True)

    def gaps(self, *kinds: GapKind) -> list[Gap]:
        """Return the gaps of some kinds."""
        return [gap for gap in self.status().gaps or [] if gap.kind in kinds]


def hole(series: str, day: date, confirmed: int = 1) -> Gap:
    """Return the hole of one day."""
    return Gap(series, GapKind.HOLE, day, day, 1, confirmed, "no candle")


def dates(gaps: Sequence[Gap]) -> list[tuple[str, date, date]]:
    """Return series, first and last date of gaps."""
    return [(gap.series, gap.first, gap.last) for gap in gaps]
