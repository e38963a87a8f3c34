-- Every candle of the picked replies as it is to be stored, and whether it is anything but good and
-- decided: where one is odd, judged_candle and what follows it tell more.
-- Reads: judgement. One row: a candle. One core: 5 M candles a second.
select
    reply_id,
    at_us,
    open,
    high,
    low,
    close,
    volume,
    oi,
    rule is not null or fate <> 'kept' as odd
from judgement
