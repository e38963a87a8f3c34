-- Changed candles over the ones that are there.
-- Reads kite_changed. Writes kite_ohlcv_historic. Parameters: instrument_id, interval.
insert into kite_ohlcv_historic (
    instrument_id, candle_interval, date, open, high, low, close, volume, oi, batch_id
)
select
    %(instrument_id)s, %(interval)s::kite_candle_interval, date, open, high, low, close, volume,
    oi, batch_id
from kite_changed
on conflict (instrument_id, candle_interval, date) do update set
    open = excluded.open,
    high = excluded.high,
    low = excluded.low,
    close = excluded.close,
    volume = excluded.volume,
    oi = excluded.oi,
    batch_id = excluded.batch_id
