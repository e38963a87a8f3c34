"""What a parser of candles holds on to."""

import weakref
from pathlib import Path

import numpy as np

from kitepipe.model import Interval
from kitepipe.staging import Staging
from kitepipe.staging_candles import CandleParser, Part
from kitepipe.staging_series import select_claims, select_staged_series
from tests.load_help import Hand, candle, day


def test_a_parser_that_is_closed_lets_go_of_what_it_parsed(tmp_path: Path) -> None:
    """A circle of references may keep the parser itself: a load has two of them each round."""
    hand = Hand(tmp_path / "a.duckdb", "", ("INFY",))
    hand.reply(0, 9, [candle(day(n)) for n in range(10)])
    with Staging.read(hand.settings.staging) as staging:
        with staging.cursor() as cursor:
            nothing: dict[str, object] = {"reply_id": np.array([], dtype=np.int64)}
            (one,) = select_staged_series(cursor, nothing, None)
            replies = select_claims(cursor, [one.key], None)[one.key]
        parser = CandleParser(staging)
        parts = [Part(reply, (reply.settled,)) for reply in replies if reply.settled]
        instants = weakref.ref(parser.parse(parts, Interval.DAY).candles["at_us"])
        assert instants() is not None
        parser.close()
        assert instants() is None
