-- The candles of one kind of change, in the order of time, to be fetched as columns.
-- Reads: candle_delta. Parameter: change (new, changed or gone; of gone ones only reply_id and
-- at_us are set). One row: a candle with the reply that decides it.
select
    reply_id,
    at_us,
    open,
    high,
    low,
    close,
    volume,
    oi
from candle_delta
where change = $change
order by at_us
