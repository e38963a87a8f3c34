-- The newest candle of a series, by one step into the key of the newest hypertable chunk.
-- Reads kite_ohlcv_historic. Parameters: instrument_id, interval.
-- One row: its date in IST whatever the session's time zone (in UTC a day candle's is the day
-- before); or none.
select (date at time zone 'Asia/Kolkata')::date as trade_date
from kite_ohlcv_historic
where
    instrument_id = %(instrument_id)s
    and candle_interval = %(interval)s
    and date < 'infinity'
    and date > '-infinity'
order by date desc
limit 1
