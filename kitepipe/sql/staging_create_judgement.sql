-- Every candle with the first rule that it breaks, of those dates that are its reply's to decide.
-- Held (not settled yet) and superseded ones (a newer reply decides) are only counted; one whose
-- date is unknown or outside its window is always here.
-- Reads: parsed_candle, the variable interval_minutes (1440 is day). Writes: temp view judgement.
-- One row: a candle; fate is kept, held or superseded. Where none is odd (staging_select_any_odd.sql),
-- `instants` in staging_plain.py computes the same at_us.
create or replace temp view judgement as
with dated as (
    select *, cast(ist as date) as ist_date
    from parsed_candle
),
placed as (
    select
        *,
        -- The grid is that of whole quarters: sessions open at 09:00 or 09:15, Muhurat at 13:45.
        epoch_us(ist) % (60000000 * gcd(getvariable('interval_minutes'), 15)) <> 0 as off_grid,
        coalesce(ist_date not between window_first and window_last, true) as outside,
        coalesce(ist_date <= settled_through, false) as settled,
        -- What wanted_reply says stands on each candle's row: the planner does not know how many candles
        -- there are, and would hash them all to join them with a few replies (0.2 s a million).
        coalesce(
            case
                when len(decides_first) = 1
                    then ist_date between decides_first[1] and decides_last[1]
                else len(list_filter(
                    list_zip(decides_first, decides_last), lambda run: ist_date between run[1] and run[2]
                )) > 0
            end,
            false
        ) as deciding
    from dated
)
select
    reply_id,
    position,
    epoch_us(case when getvariable('interval_minutes') >= 1440 then cast(ist_date as timestamp) else ist end)
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
        when getvariable('interval_minutes') < 1440 and off_grid then 'off_grid'
    end as rule,
    case
        when outside then 'kept'
        when not settled then 'held'
        when not deciding then 'superseded'
        else 'kept'
    end as fate
from placed
