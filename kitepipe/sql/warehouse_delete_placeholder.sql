-- Deletes the candle of no instrument. Writes kite_ohlcv_historic.
-- Parameters: instant. One row.
delete from kite_ohlcv_historic
where instrument_id = -1 and candle_interval = 'day' and date = %(instant)s
