-- Converts hypertable chunks that are a year old: younger ones are still corrected and re-based.
-- Writes one job. TimescaleDB 2.18 or newer, its own licence:
-- https://www.tigerdata.com/docs/api/latest/hypercore/add_columnstore_policy
call add_columnstore_policy(
    'kite_ohlcv_historic', after => interval '1 year', if_not_exists => true
)
