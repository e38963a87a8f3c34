-- The good candles in the order of time, to be fetched as columns.
-- Reads: candle. One row: a candle with the reply that decides it.
select
    reply_id,
    at_us,
    open,
    high,
    low,
    close,
    volume,
    oi
from candle
order by at_us
