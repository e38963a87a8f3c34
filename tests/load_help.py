"""What the tests of load share: staging files made by hand, and what a warehouse then holds."""

import shutil
from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from kitepipe import pipeline
from kitepipe.config import Settings
from kitepipe.filters import InstrumentFilter
from kitepipe.model import Interval, Series, Window
from kitepipe.progress import Silent
from kitepipe.staging import Staging
from kitepipe.staging_replies import Rebase, ReplyWriter
from kitepipe.staging_wanted import select_series, want_instruments
from kitepipe.summary import LoadReport
from tests.servers import Look, Rows
from tests.staging_help import NOON, body, commit, line, take

API_ROOT = "http://127.0.0.1:9"
DAY = date(2026, 1, 5)  # a Monday

_CANDLES = (
    "select exchange, tradingsymbol, candle_interval, date, open, high, low, close, volume, oi "
    "from kite_ohlcv order by 1, 2, 3, 4"
)


def day(number: int) -> date:
    """Return the date so many days after DAY."""
    return DAY + timedelta(days=number)


def candle(on: date, price: float = 100.0, volume: int = 1) -> list[Any]:
    """Return a day candle as Kite writes it."""
    return [f"{on}T00:00:00+0530", price, price, price, price, volume]


class Hand:
    """A staging file that is written by hand: `reply` puts one in, `settings` load it."""

    def __init__(self, path: Path, dsn: str, symbols: Sequence[str] = ("INFY",)) -> None:
        self.settings = Settings(api_root=API_ROOT, staging=path, dsn=dsn)
        self.symbols = symbols
        with Staging.write(path, API_ROOT) as staging:
            take(staging, 0, *(line(256 * (n + 1), name) for n, name in enumerate(symbols)))

    def series(self, staging: Staging, symbol: str, interval: Interval = Interval.DAY) -> Series:
        """Return the series of a symbol."""
        with staging.cursor() as cursor:
            wanted = InstrumentFilter(tradingsymbols=(symbol,))
            want_instruments(cursor, wanted)
            return select_series(cursor, [interval])[0]

    def reply(
        self,
        first: int,
        last: int,
        rows: Sequence[object] | str,
        *,
        minute: int = 0,
        settled: int | None = None,
        symbol: str = "INFY",
        rebase: float | None = None,
        interval: Interval = Interval.DAY,
    ) -> int:
        """Stage a reply to days `first`..`last`, fetched `minute` minutes after NOON."""
        with (
            Staging.write(self.settings.staging, API_ROOT) as staging,
            ReplyWriter(staging) as writer,
        ):
            return commit(
                writer,
                self.series(staging, symbol, interval),
                Window(day(first), day(last)),
                rows if isinstance(rows, str) else body(rows),
                fetched_at=NOON + timedelta(minutes=minute),
                settled=None if settled is None else day(settled),
                rebase=Rebase(rebase, day(first)) if rebase else None,
            )

    def prices(self, first: int, last: int, price: float, **more: Any) -> int:
        """Stage a reply with a candle on each of its days, all at one price."""
        rows = [candle(day(number), price) for number in range(first, last + 1)]
        return self.reply(first, last, rows, **more)

    def load(self, **other: Any) -> LoadReport:
        """Load what is not loaded yet, as `kitepipe load`."""
        return pipeline.load(replace(self.settings, **other), Silent())

    def replay(self, as_of: datetime | None = None, **other: Any) -> LoadReport:
        """Load everything again, as `kitepipe replay`."""
        return pipeline.replay(replace(self.settings, **other), Silent(), as_of=as_of)

    def moved(self, folder: Path, dsn: str) -> "Hand":
        """Return the same in another folder, with a copy of the staging file, and a database."""
        other = copy(self)
        other.settings = replace(
            self.settings,
            staging=Path(shutil.copy(self.settings.staging, folder)),
            archive=folder / self.settings.archive.name,
            dsn=dsn,
        )
        return other


def with_schema(dsn: str) -> str:
    """Make kitepipe's tables in a database; return its DSN."""
    pipeline.apply_schema(Settings(dsn=dsn))
    return dsn


def candles(look: Look) -> Rows:
    """Return every candle with its instrument's name, in order."""
    return look(_CANDLES)


def closes(look: Look) -> dict[int, float]:
    """Return the close of each trade date, by days after DAY."""
    return {
        (on - DAY).days: close for on, close in look("select trade_date, close from kite_ohlcv")
    }


def footprint(look: Look) -> Rows:
    """Return where each row of kitepipe's tables stands and who wrote it: any write shows."""
    tables = look(
        "select table_name from information_schema.tables where table_name like 'kite\\_%%' "
        "and table_type = 'BASE TABLE' order by 1"
    )
    return [
        row
        for (table,) in tables
        for row in look(
            f"select tableoid::regclass::text, ctid::text, xmin::text from {table} order by 1, 2"
        )
    ]
