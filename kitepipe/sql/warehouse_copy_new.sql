-- New candles straight into the (hyper)table; one that is already there fails the COPY.
-- Writes kite_ohlcv_historic. Input: binary rows of warehouse_copy.candle_stream with a key.
copy kite_ohlcv_historic (
    instrument_id, candle_interval, date, open, high, low, close, volume, oi, batch_id
) from stdin (format binary)
