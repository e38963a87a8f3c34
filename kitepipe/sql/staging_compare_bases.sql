-- Compares the prices of one session in two bodies of a series.
-- Parameters: $old, $new (bodies), $session (date), $is_day. One row: prices compared, lower and
-- upper bound of the factor new/old that all of them allow, how many differ, and the mean factor.
-- Where most agree on a factor, those that differ otherwise were corrected on top: left out.
-- Kite rounds adjusted prices to 0.05, so each lies within 0.025 of the exact one.
with
body as (
    select
        which,
        -- NaN and Infinity are no JSON (staging_quote_infinities)
        if(json_valid(body), body, regexp_replace(
            body, '([\[,:]\s*)(-?(?:NaN|Infinity))', '\1"\2"', 'g'
        )) as body
    from (select 'old' as which, $old as body union all select 'new', $new)
),
candle as (
    select which, unnest(json_extract(body, '$.data.candles[*]')) as candle
    from body
    where json_valid(body)
),
price as (
    select
        which,
        left(coalesce(candle ->> '$[0]', candle ->> '$.date', candle ->> '$.timestamp'), 19) as stamp,
        unnest(['open', 'high', 'low', 'close']) as field,
        unnest([
            coalesce(candle ->> '$[1]', candle ->> '$.open'),
            coalesce(candle ->> '$[2]', candle ->> '$.high'),
            coalesce(candle ->> '$[3]', candle ->> '$.low'),
            coalesce(candle ->> '$[4]', candle ->> '$.close')
        ]) as value
    from candle
),
known as (
    -- a day candle's time of day differs between old and new replies: its date is its identity;
    -- a candle that stands there twice with two prices has none
    select
        which,
        if($is_day, left(stamp, 10), replace(stamp, ' ', 'T')) as stamp,
        field,
        any_value(try_cast(value as double)) as value
    from price
    where try_cast(left(stamp, 10) as date) = $session
    group by which, 2, field
    having count(distinct value) = 1
),
pair as (
    select old.value as before, new.value as after
    from known as old
    inner join known as new on old.field = new.field and old.stamp = new.stamp
    where
        old.which = 'old' and new.which = 'new'
        and old.value > 0.025 and new.value > 0.025
        and isfinite(old.value) and isfinite(new.value)
),
bound as (
    select
        before, after,
        (after - 0.025) / (before + 0.025) as lower,
        (after + 0.025) / (before - 0.025) as upper
    from pair
),
factor as (
    -- a factor that most prices allow is the lower bound of one of them
    select one.lower as factor, count(*) as votes
    from (select distinct lower from bound) as one
    inner join bound as other on one.lower between other.lower and other.upper
    group by one.lower
    order by votes desc, factor
    limit 1
),
agreeing as (
    -- those that were corrected as well agree on nothing, and differ in any case
    select bound.*
    from bound, factor
    where
        factor between lower and upper
        or before = after
        or 2 * votes <= (select count(*) from bound)
)
select
    count(*) as compared,
    max(lower) as lower,
    min(upper) as upper,
    count(*) filter (where before <> after) as differing,
    sum(after) / sum(before) as ratio
from agreeing
