-- Deletes the candles that the deciding replies no longer have.
-- Reads kite_gone. Writes kite_ohlcv_historic. Parameters: instrument_id, interval, first, last
-- (the outer instants, so that only their hypertable chunks are opened).
delete from kite_ohlcv_historic as h
using kite_gone as g
where
    h.instrument_id = %(instrument_id)s
    and h.candle_interval = %(interval)s
    and h.date = g.date
    and h.date between %(first)s and %(last)s
