-- Lets hypertable chunks be converted to columnstore, by series and in order of time.
-- Writes the settings of kite_ohlcv_historic. TimescaleDB 2.18 or newer, its own licence:
-- https://www.tigerdata.com/docs/api/latest/hypercore/alter_table/
alter table kite_ohlcv_historic set (
    timescaledb.enable_columnstore = true,
    timescaledb.segmentby = 'instrument_id, candle_interval',
    timescaledb.orderby = 'date'
)
