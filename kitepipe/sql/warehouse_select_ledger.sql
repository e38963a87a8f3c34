-- The replies that were loaded into one series. Reads kite_load_ledger.
-- Parameters: instrument_id, interval. One row is one reply.
select
    staging_id, reply_id, sha256, fetched_at, window_first, window_last, first_date, last_date,
    epoch
from kite_load_ledger
where instrument_id = %(instrument_id)s and candle_interval = %(interval)s
