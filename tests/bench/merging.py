"""dlt as a peer: `python -m tests.bench.merging DSN STAGING` merges every candle of a file.

Its input is made before the clock starts: an Arrow table, typed, with nothing left to parse.
"""

import json
import os
import sys
from time import perf_counter

import dlt
import duckdb
import psycopg2.extensions

_CANDLES = """
    select
        1 as instrument_id, 'minute' as candle_interval, cast(cell[1] as timestamptz) as date,
        cast(cell[2] as double) as open, cast(cell[3] as double) as high,
        cast(cell[4] as double) as low, cast(cell[5] as double) as close,
        cast(cell[6] as bigint) as volume, reply_id as batch_id
    from (
        select reply_id, unnest(from_json(body, '{"data":{"candles":[["VARCHAR"]]}}').data.candles)
            as cell
        from body join reply using (reply_id) join chunk using (chunk_id)
        where interval = 'minute'
    )
"""
_KEY = ["instrument_id", "candle_interval", "date"]


def merge(dsn: str, staging: str) -> float:
    """Return how long dlt takes to extract, normalize, load and merge the table."""
    with duckdb.connect(staging, read_only=True) as database:
        candles = database.execute(_CANDLES).to_arrow_table()
    parts = psycopg2.extensions.parse_dsn(dsn)
    address = f"postgresql://{parts['user']}:any@{parts['host']}:{parts['port']}/{parts['dbname']}"
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"  # it would call home
    pipeline = dlt.pipeline(
        "peer",
        destination=dlt.destinations.postgres(address),
        pipelines_dir=".",
        dataset_name="peer",
    )
    resource = dlt.resource(candles, name="candles", write_disposition="merge", primary_key=_KEY)
    started = perf_counter()
    pipeline.run(resource)
    return perf_counter() - started


if __name__ == "__main__":
    print(json.dumps({"seconds": merge(sys.argv[1], sys.argv[2])}))
