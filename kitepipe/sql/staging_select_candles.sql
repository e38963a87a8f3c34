-- The good candles, to be fetched as columns, in the order of the replies: Kite's is nearly always
-- that of time, and a look in numpy tells (0.5 ms); `order by` here would cost 30 ms each time.
-- Reads: judged_candle, repeated_candle. One row: a candle with the reply that decides it; at_us, the
-- UTC microsecond of its open, is unique once repeated_candle knows what stands there twice.
select
    judged_candle.reply_id,
    judged_candle.at_us,
    judged_candle.open,
    judged_candle.high,
    judged_candle.low,
    judged_candle.close,
    judged_candle.volume,
    judged_candle.oi
from judged_candle
left join repeated_candle on judged_candle.at_us = repeated_candle.at_us
where
    judged_candle.fate = 'kept'
    and judged_candle.rule is null
    and (
        repeated_candle.at_us is null
        or (repeated_candle.equal and judged_candle.position = repeated_candle.position)
    )
