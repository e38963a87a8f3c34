-- A candle of no instrument: inserting it makes the hypertable chunk of its instant. The same
-- transaction deletes it again. (create_chunk() would do, but its schema moved between versions.)
-- Writes kite_ohlcv_historic. Parameters: instant. One row.
insert into kite_ohlcv_historic (
    instrument_id, candle_interval, date, open, high, low, close, volume, batch_id
)
values (-1, 'day', %(instant)s, 1, 1, 1, 1, 0, -1)
