-- The bad candles of the picked replies, with their text and the first rule that each breaks.
-- Reads: judged_candle, repeated_candle, picked, plain_reply. Needs: cut_plain, cut_typed.
-- Writes: temp table quarantine. One row: a candle. Only replies that have bad candles are cut
-- again; text that is not from a plain reply is JSON written anew: 1.10 reads 1.1 there.
-- trade_date is the candle's IST date, null where it is unknown or outside the window.
create or replace temp table quarantine as
with bad as (
    select
        reply_id,
        position,
        rule,
        at_us
    from judged_candle
    where fate = 'kept' and rule is not null
    union all
    select
        judged_candle.reply_id,
        judged_candle.position,
        'duplicate' as rule,
        judged_candle.at_us
    from judged_candle
    inner join repeated_candle on judged_candle.at_us = repeated_candle.at_us
    where
        judged_candle.fate = 'kept'
        and judged_candle.rule is null
        and not repeated_candle.equal
),
reply as (
    select
        reply_id,
        case
            when reply_id in (select reply_id from plain_reply)
                then list_transform(cut_plain(body), lambda x: '[' || x || ']')
            else cast(cut_typed(body) as varchar[])
        end as candles
    from picked
    where reply_id in (select reply_id from bad)
),
candle_text as (
    select
        reply_id,
        generate_subscripts(candles, 1) - 1 as position,
        unnest(candles) as raw
    from reply
)
select
    bad.reply_id,
    bad.position,
    bad.rule,
    candle_text.raw,
    case
        when dated.ist_date between picked.window_first and picked.window_last
            then dated.ist_date
    end as trade_date
from bad
inner join candle_text
    on bad.reply_id = candle_text.reply_id and bad.position = candle_text.position
inner join picked on bad.reply_id = picked.reply_id
cross join lateral (
    select cast(make_timestamp(bad.at_us + 19800000000) as date) as ist_date
) as dated
order by bad.reply_id, bad.position
