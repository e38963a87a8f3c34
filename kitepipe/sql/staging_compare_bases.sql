-- Compares the prices of one session in two bodies of a series.
-- Parameters: $old, $new (bodies), $session (date). One row: prices compared, lower and upper
-- bound of the factor new/old that all of them allow, and how many differ.
-- Kite rounds adjusted prices to 0.05, so each lies within 0.025 of the exact one.
with
price as (
    select which, stamp, field, try_cast(value as double) as value
    from (
        select
            which,
            left(coalesce(candle ->> '$[0]', candle ->> '$.date'), 19) as stamp,
            unnest(['open', 'high', 'low', 'close']) as field,
            unnest([
                coalesce(candle ->> '$[1]', candle ->> '$.open'),
                coalesce(candle ->> '$[2]', candle ->> '$.high'),
                coalesce(candle ->> '$[3]', candle ->> '$.low'),
                coalesce(candle ->> '$[4]', candle ->> '$.close')
            ]) as value
        from (
            select 'old' as which, unnest(json_extract($old, '$.data.candles[*]')) as candle
            where json_valid($old)
            union all
            select 'new', unnest(json_extract($new, '$.data.candles[*]'))
            where json_valid($new)
        )
    )
    where try_cast(left(stamp, 10) as date) = $session
),
pair as (
    -- a day candle's time of day differs between old and new replies: its date is its identity
    select old.value as before, new.value as after
    from (from price where which = 'old') as old
    inner join (from price where which = 'new') as new
        on
            old.field = new.field
            and if($is_day, left(old.stamp, 10) = left(new.stamp, 10), old.stamp = new.stamp)
    where old.value > 0.025 and new.value > 0.025
)
select
    count(*) as compared,
    max((after - 0.025) / (before + 0.025)) as lower,
    min((after + 0.025) / (before - 0.025)) as upper,
    count(*) filter (where before <> after) as differing,
    sum(after) / sum(before) as ratio
from pair
