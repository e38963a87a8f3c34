-- Candles of plain replies, each number cast from its own digits, so that it is the double that
-- Python's float() gives. Their form is proven: what is left to judge here is the calendar.
-- Reads: picked, plain_reply. Needs: cut_plain. Writes: temp view plain_candle.
-- One row: a candle, with what picked says of its reply; position counts from 0 in it, ist is its
-- wall clock in India, rule is null or the rule that it breaks.
create or replace temp view plain_candle as
with reply as (
    select
        reply_id,
        window_first,
        window_last,
        settled_through,
        decides_first,
        decides_last,
        cut_plain(body) as candles
    from picked
    where reply_id in (select reply_id from plain_reply)
),
candle as (
    select
        reply_id,
        window_first,
        window_last,
        settled_through,
        decides_first,
        decides_last,
        generate_subscripts(candles, 1) - 1 as position,
        string_split(unnest(candles), ',') as cell
    from reply
),
typed as (
    select
        reply_id,
        window_first,
        window_last,
        settled_through,
        decides_first,
        decides_last,
        position,
        -- Proven to be +0530, and so read without its offset: the result is India's wall clock.
        try_cast(substring(cell[1], 2, 19) as timestamp) as ist,
        cast(cell[2] as double) as open,
        cast(cell[3] as double) as high,
        cast(cell[4] as double) as low,
        cast(cell[5] as double) as close,
        cast(cell[6] as bigint) as volume,
        cast(cell[7] as bigint) as oi
    from candle
)
select
    reply_id,
    window_first,
    window_last,
    settled_through,
    decides_first,
    decides_last,
    position,
    ist,
    open,
    high,
    low,
    close,
    volume,
    oi,
    false as volume_overflows,
    false as oi_overflows,
    case when ist is null then 'bad_date' end as rule
from typed
