-- Changed candles into their waiting table.
-- Writes kite_changed. Input: binary rows of warehouse_copy.candle_stream without a key.
copy kite_changed (date, open, high, low, close, volume, oi, batch_id)
from stdin (format binary)
