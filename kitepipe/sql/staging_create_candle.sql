-- The good candles of the picked replies.
-- Reads: judged_candle, repeated_candle. Writes: temp view candle. One row: a candle; at_us, the
-- UTC microsecond of its open, is unique, because segments share no date.
create or replace temp view candle as
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
