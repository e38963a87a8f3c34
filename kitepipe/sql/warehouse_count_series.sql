-- Counts a series from its candles: the truth that kite_series is kept equal to.
-- Reads kite_ohlcv_historic. Parameters: instrument_id, interval.
-- One row; an infinite date (nothing of ours) is left out.
select min(date), max(date), count(*)
from kite_ohlcv_historic
where instrument_id = %(instrument_id)s and candle_interval = %(interval)s and isfinite(date)
