"""Parsing alone: `python -m tests.bench.parsing STAGING` parses every candle of a file.

A process like `kitepipe replay`, with as many threads, that has no database to ask.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np

from kitepipe.load_decide import groups
from kitepipe.model import Interval
from kitepipe.settings import Settings
from kitepipe.staging import Staging
from kitepipe.staging_candles import CandleParser, Part
from kitepipe.staging_series import select_claims, select_staged_series


def parse(path: Path) -> int:
    """Parse all of it and return how many candles there are."""
    with Staging.read(path) as staging:
        with staging.cursor() as cursor:
            nothing: dict[str, object] = {"reply_id": np.array([], dtype=np.int64)}
            keys = [one.key for one in select_staged_series(cursor, nothing, None)]
            claims = select_claims(cursor, keys, None)

        def parse_some(number: int) -> int:
            with closing(CandleParser(staging)) as parser:
                return sum(
                    len(parser.parse(group, Interval(key[1])).candles["at_us"])
                    for key in keys[number :: Settings.load_workers]
                    for group in groups([Part(r, (r.settled,)) for r in claims[key] if r.settled])
                )

        with ThreadPoolExecutor(Settings.load_workers) as threads:
            return sum(threads.map(parse_some, range(Settings.load_workers)))


if __name__ == "__main__":
    print(json.dumps({"candles": parse(Path(sys.argv[1]))}))
