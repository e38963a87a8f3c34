"""What a parser of candles gives, by either way, and what it holds on to."""

import weakref
from contextlib import closing
from datetime import datetime, time
from pathlib import Path

import numpy as np
import pytest

from kitepipe.model import IST, Interval
from kitepipe.staging import Staging
from kitepipe.staging_candles import CandleParser, Columns, Part
from kitepipe.staging_series import select_claims, select_staged_series
from tests.load_help import Hand, candle, day


def _parts(staging: Staging) -> list[Part]:
    """Return the replies of the one series, each with the dates that it settles."""
    with staging.cursor() as cursor:
        nothing: dict[str, object] = {"reply_id": np.array([], dtype=np.int64)}
        (one,) = select_staged_series(cursor, nothing, None)
        replies = select_claims(cursor, [one.key], None)[one.key]
    return [Part(reply, (reply.settled,)) for reply in replies if reply.settled]


def test_a_parser_that_is_closed_lets_go_of_what_it_parsed(tmp_path: Path) -> None:
    """A circle of references may keep the parser itself: a load has two of them each round."""
    hand = Hand(tmp_path / "a.duckdb", "", ("INFY",))
    hand.reply(0, 9, [candle(day(n)) for n in range(10)])
    with Staging.read(hand.settings.staging) as staging:
        parser = CandleParser(staging)
        instants = weakref.ref(parser.parse(_parts(staging), Interval.DAY).candles["at_us"])
        assert instants() is not None
        parser.close()
        assert instants() is None


class _Judging(CandleParser):
    """A parser that has SQL judge every candle, as if some were odd."""

    def _clean_candles(self, interval: Interval) -> Columns | None:
        return None


@pytest.mark.parametrize("more", [[], [7]], ids=["six cells", "seven"])
@pytest.mark.parametrize(
    ("interval", "at"),
    [(Interval.DAY, "00:00"), (Interval.DAY, "09:15"), (Interval.MINUTE_60, "09:15")],
)
def test_what_is_good_is_stored_as_it_was_read(
    interval: Interval, at: str, more: list[int], tmp_path: Path
) -> None:
    """The same as where SQL judges each: a day candle stands at 00:00 in India, an hour's as is."""
    hand = Hand(tmp_path / "a.duckdb", "", ("INFY",))
    rows = [[f"{day(n)}T{at}:00+0530", *candle(day(n), 100.05 + n)[1:], *more] for n in range(10)]
    hand.reply(0, 9, rows, interval=interval)
    found = []
    with Staging.read(hand.settings.staging) as staging:
        for kind in (CandleParser, _Judging):
            with closing(kind(staging)) as parser:
                parsed = parser.parse(_parts(staging), interval)
                assert (parsed.bad, sum(parsed.held.values())) == ([], 0)
                found.append({name: column.tolist() for name, column in parsed.candles.items()})
    assert found[0] == found[1]
    first = datetime.combine(day(0), time.fromisoformat(at if interval.minutes < 1440 else "00:00"))
    assert found[0]["at_us"][0] == 1_000_000 * int(first.replace(tzinfo=IST).timestamp())
    assert (found[0]["open"][9], found[0]["oi"][9]) == (109.05, more[0] if more else None)
