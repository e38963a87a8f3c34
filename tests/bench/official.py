"""The official client as a peer: its parse and an upsert, and a pool of its requests.

`python -m tests.bench.official URL SECONDS WINDOWS` asks from as many threads as kitepipe does,
and prints how many requests that were and how long they took.
"""

import json
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from time import perf_counter

import psycopg2
from kiteconnect import KiteConnect
from psycopg2.extras import execute_values

from kitepipe.sandbox import SandboxOptions
from kitepipe.settings import Settings
from tests.bench.workplace import FIRST, SYMBOLS, WINDOW_DAYS

_UPSERT = """
insert into kite_ohlcv_historic (
    instrument_id, candle_interval, date, open, high, low, close, volume, oi, batch_id
) values %s
on conflict (instrument_id, candle_interval, date) do update set
    open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close,
    volume = excluded.volume, oi = excluded.oi, batch_id = excluded.batch_id
"""


def upsert(dsn: str, bodies: Sequence[str]) -> float:
    """Return how long the client's parse and an upsert of each reply take, one commit a reply."""
    kite = KiteConnect(api_key="")
    started = perf_counter()
    with closing(psycopg2.connect(dsn)) as connection:
        for body in bodies:
            candles = kite._format_historical(json.loads(body)["data"])
            rows = [
                (1, "minute", c["date"], c["open"], c["high"], c["low"], c["close"], c["volume"],
                 None, 1)
                for c in candles
            ]  # fmt: skip
            with connection, connection.cursor() as cursor:
                execute_values(cursor, _UPSERT, rows, page_size=1000)
    return perf_counter() - started


def ask(url: str, seconds: float, windows: int) -> tuple[int, float]:
    """Ask for `seconds`, then wait for what is under way; return requests and seconds in all."""
    options = SandboxOptions()
    kite = KiteConnect(api_key=options.api_key, access_token=options.token, root=url, timeout=60)
    tokens = [
        row["instrument_token"]
        for row in kite.instruments("NSE")
        if row["tradingsymbol"] in SYMBOLS
    ]
    questions = _questions(tokens, windows)
    done: list[int] = []
    lock = threading.Lock()
    started = perf_counter()

    def work() -> None:
        while perf_counter() - started < seconds:
            with lock:
                token, first, last = next(questions)
            done.append(len(kite.historical_data(token, first, last, "minute")))

    threads = [threading.Thread(target=work) for _ in range(Settings.parallel_workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(done), perf_counter() - started


def _questions(tokens: Sequence[int], windows: int) -> Iterator[tuple[int, str, str]]:
    while True:
        for place in range(windows):
            first = FIRST + timedelta(days=place * WINDOW_DAYS)
            last = first + timedelta(days=WINDOW_DAYS - 1)
            for token in tokens:
                yield token, f"{first} 00:00:00", f"{last} 23:59:59"


if __name__ == "__main__":
    requests, took_s = ask(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))
    print(json.dumps({"requests": requests, "seconds": took_s}))
