-- What became of the candles of each picked reply; an equal repetition is in `candles` only.
-- Reads: wanted_reply, judged_candle, repeated_candle. One row: a reply, also one without candles.
with judged as (
    select
        judged_candle.reply_id,
        judged_candle.fate,
        judged_candle.rule is not null or repeated_candle.equal is false as bad,
        judged_candle.position > repeated_candle.position as again
    from judged_candle
    left join repeated_candle
        on judged_candle.at_us = repeated_candle.at_us
        and judged_candle.fate = 'kept'
        and judged_candle.rule is null
)
select
    wanted_reply.reply_id,
    count(judged.fate) as candles,
    count(*) filter (where fate = 'held') as held,
    count(*) filter (where fate = 'superseded') as superseded,
    count(*) filter (where fate = 'kept' and bad) as quarantined,
    count(*) filter (where fate = 'kept' and not bad and again is not true) as good
from wanted_reply
left join judged on wanted_reply.reply_id = judged.reply_id
group by wanted_reply.reply_id
order by wanted_reply.reply_id
