-- Whether any plain candle is anything but good and decided: judgement tells then which, and why.
-- Else each is to be stored as it was read. It says what judgement would (tests/test_sql_any_odd.py
-- holds both together): a candle between low and high above 0 breaks no rule of prices, and no number
-- is negative in this form. By way of judgement it took three times as long, half of it to be planned.
-- Reads: wanted_reply, plain_column, the variable interval_minutes. One row, one column: odd.
-- One core: 20 M candles a second.
with run as (
    select
        *,
        unnest(decides_first) as first_decided,
        unnest(decides_last) as last_decided
    from wanted_reply
),
span as (
    select
        reply_id,
        epoch_us(cast(greatest(window_first, first_decided) as timestamp)) as first_us,
        epoch_us(cast(
            least(window_last, coalesce(settled_through, window_first - 1), last_decided) + 1
            as timestamp
        )) as end_us
    from run
)
select coalesce(bool_or(
    span.reply_id is null
    or (
        getvariable('interval_minutes') < 1440
        and ist_us % (60000000 * gcd(getvariable('interval_minutes'), 15)) <> 0
    )
    or low <= 0 or open < low or open > high or close < low or close > high
), false) as odd
from plain_column
left join span
    on
        plain_column.reply_id = span.reply_id
        and plain_column.ist_us >= span.first_us
        and plain_column.ist_us < span.end_us
