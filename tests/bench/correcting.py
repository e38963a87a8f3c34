"""What Kite serves after it has changed some candles: the same replies again, with those."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb

from kitepipe.model import Contents, Instrument, Interval, Reply, Series, Window, utc_now
from kitepipe.staging import Staging
from kitepipe.staging_replies import Asked, ReplyWriter
from kitepipe.staging_series import FIRST_EPOCH
from tests.bench.workplace import Material

_REPLIES = """
    select instrument_key, instrument_token, exchange, tradingsymbol, snapshot_id,
        first_date, last_date, dates, candles, body
    from reply join chunk using (chunk_id) join body using (reply_id)
    where interval = 'minute'
    order by reply_id
"""
_BETWEEN = "],["


@dataclass(frozen=True, slots=True)
class Corrected:
    """The folder of a staging file that holds every reply twice, and how many candles differ."""

    folder: Path
    changed: int


def higher(volume: str) -> str:
    """Return a corrected volume."""
    return str(int(volume) + 1)


def impossible(volume: str) -> str:
    """Return a volume that breaks a rule."""
    return f"-{volume}"


def corrected(
    material: Material, folder: Path, one_of: int, change: Callable[[str], str] = higher
) -> Corrected:
    """Stage every reply of `material` again, with another volume of one candle of so many."""
    path = folder / material.staging.name
    shutil.copy(material.staging, path)
    with duckdb.connect(str(material.staging), read_only=True) as database:
        rows = database.execute(_REPLIES).fetchall()
        ((root,),) = database.execute("select api_root from setup").fetchall()
    changed = 0
    with Staging.write(path, root) as staging, ReplyWriter(staging) as writer:
        for key, token, exchange, symbol, snapshot, first, last, dates, candles, body in rows:
            series = Series(key, Instrument(token, exchange, symbol), Interval.MINUTE, snapshot)
            text, count = _correct(body, one_of, change)
            changed += count
            now = utc_now()
            contents = Contents(sum(candles), tuple(dates), tuple(candles))
            asked = Asked(series, Window(first, last), FIRST_EPOCH, now, 1)
            writer.commit(asked, Reply(text, now, now, contents), _yesterday())
    return Corrected(folder, changed)


def _correct(body: str, one_of: int, change: Callable[[str], str]) -> tuple[str, int]:
    candles = body.split(_BETWEEN)
    places = range(0, len(candles) - 1, one_of)  # the last one ends with the body
    for place in places:
        start, _, volume = candles[place].rpartition(",")
        candles[place] = f"{start},{change(volume)}"
    return _BETWEEN.join(candles), len(places)


def _yesterday() -> date:
    return utc_now().date() - timedelta(days=1)
