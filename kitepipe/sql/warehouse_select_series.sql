-- What is known of one series. Reads kite_series.
-- Parameters: instrument_id, interval. One row, or none where nothing was ever loaded.
select first_candle, last_candle, candles, epoch, last_success
from kite_series
where instrument_id = %(instrument_id)s and candle_interval = %(interval)s
