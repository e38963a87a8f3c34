-- Whether the candles' table is a hypertable. Reads TimescaleDB's views and kite_ohlcv_historic's
-- name. One row, or none.
select hypertable_schema, hypertable_name
from timescaledb_information.hypertables
where
    format('%I.%I', hypertable_schema, hypertable_name)::regclass
    = to_regclass('kite_ohlcv_historic')
