-- Every candle with the first rule that it breaks, of those dates that are its reply's to decide.
-- Held (not settled yet) and superseded ones (a newer reply decides) are only counted; one whose
-- date is unknown or outside its window is always here.
-- Reads: picked, segment, plain_candle, typed_candle. Writes: temp table judged_candle.
-- Parameter: interval_minutes (1440 is day). One row: a candle; fate is kept, held or superseded.
create or replace temp table judged_candle as
with parsed as (
    select * from plain_candle
    union all
    select * from typed_candle
),
placed as (
    select
        parsed.*,
        cast(parsed.ist as date) as ist_date,
        -- The grid is that of whole quarters: sessions open at 09:00 or 09:15, Muhurat at 13:45.
        epoch_us(parsed.ist) % (60000000 * gcd($interval_minutes, 15)) <> 0 as off_grid,
        coalesce(
            cast(parsed.ist as date) not between picked.window_first and picked.window_last, true
        ) as outside,
        coalesce(cast(parsed.ist as date) <= picked.settled_through, false) as settled,
        segment.reply_id is not null as deciding
    from parsed
    inner join picked on parsed.reply_id = picked.reply_id
    left join segment
        on parsed.reply_id = segment.reply_id
        and cast(parsed.ist as date) between segment.first and segment.last
)
select
    reply_id,
    position,
    epoch_us(case when $interval_minutes >= 1440 then cast(ist_date as timestamp) else ist end)
    - 19800000000 as at_us,
    open,
    high,
    low,
    close,
    volume,
    oi,
    case
        when rule is not null then rule
        when open <= 0 or high <= 0 or low <= 0 or close <= 0 then 'non_positive_price'
        when high < low then 'high_below_low'
        when open < low or open > high then 'open_outside'
        when close < low or close > high then 'close_outside'
        when volume < 0 then 'negative_volume'
        when volume_overflows then 'volume_overflow'
        when oi < 0 then 'negative_oi'
        when oi_overflows then 'oi_overflow'
        when outside then 'outside_window'
        when $interval_minutes < 1440 and off_grid then 'off_grid'
    end as rule,
    case
        when outside then 'kept'
        when not settled then 'held'
        when not deciding then 'superseded'
        else 'kept'
    end as fate
from placed
