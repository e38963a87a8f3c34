-- Whether a series has any candle between two instants, both inclusive: 0.03 ms where not.
-- Reads kite_ohlcv_historic. Parameters: instrument_id, interval, first, last.
-- One row, or none.
select date
from kite_ohlcv_historic
where
    instrument_id = %(instrument_id)s
    and candle_interval = %(interval)s
    and date between %(first)s and %(last)s
limit 1
