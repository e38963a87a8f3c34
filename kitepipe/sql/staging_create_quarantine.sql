-- The bad candles of the picked replies, with their text and the first rule that each breaks.
-- Reads: judged_candle, repeated_candle, cut_reply. Writes: temp table quarantine. One row: a
-- candle. The text of a reply that is not plain is JSON written anew: 1.10 reads 1.1 there.
create or replace temp table quarantine as
with bad as (
    select
        reply_id,
        position,
        rule
    from judged_candle
    where fate = 'kept' and rule is not null
    union all
    select
        judged_candle.reply_id,
        judged_candle.position,
        'duplicate' as rule
    from judged_candle
    inner join repeated_candle on judged_candle.at_us = repeated_candle.at_us
    where
        judged_candle.fate = 'kept'
        and judged_candle.rule is null
        and not repeated_candle.equal
),
candle_text as (
    select
        reply_id,
        generate_subscripts(candles, 1) - 1 as position,
        plain,
        unnest(candles) as text
    from cut_reply
    where reply_id in (select reply_id from bad)
)
select
    bad.reply_id,
    bad.position,
    bad.rule,
    case when candle_text.plain then '[' || candle_text.text || ']' else candle_text.text end as raw
from bad
inner join candle_text on bad.reply_id = candle_text.reply_id and bad.position = candle_text.position
order by bad.reply_id, bad.position
