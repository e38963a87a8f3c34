-- Count and checksum of the good candles, computed as warehouse_select_checksums.sql does there.
-- Reads: candle. One row: candles, checksum.
-- Every digit of a price counts, as a whole number: sums of floats depend on the order of rows.
with scaled as (
    select
        at_us,
        case
            when abs(open) < 4e12 then
                cast(floor(open) as bigint) * 1048573
                + cast(floor((open - floor(open)) * 4611686018427387904) as bigint)
            when abs(open) < 9e18 then cast(floor(open) as bigint)
            else -1
        end as open,
        case
            when abs(high) < 4e12 then
                cast(floor(high) as bigint) * 1048573
                + cast(floor((high - floor(high)) * 4611686018427387904) as bigint)
            when abs(high) < 9e18 then cast(floor(high) as bigint)
            else -1
        end as high,
        case
            when abs(low) < 4e12 then
                cast(floor(low) as bigint) * 1048573
                + cast(floor((low - floor(low)) * 4611686018427387904) as bigint)
            when abs(low) < 9e18 then cast(floor(low) as bigint)
            else -1
        end as low,
        case
            when abs(close) < 4e12 then
                cast(floor(close) as bigint) * 1048573
                + cast(floor((close - floor(close)) * 4611686018427387904) as bigint)
            when abs(close) < 9e18 then cast(floor(close) as bigint)
            else -1
        end as close,
        volume,
        coalesce(oi, -7046029254386353131) as oi
    from candle
),
mixed as (
    select
        at_us,
        (open % 2147483629) * 201326611
        + (high % 2147483629) * 161061293
        + (low % 2147483629) * 234881027
        + (close % 2147483629) * 118111633
        + (volume % 2147483629) * 187904819
        + (oi % 2147483629) * 142606337 as value
    from scaled
)
select
    count(*) as candles,
    coalesce(sum(cast(value % 2147483629 as hugeint) * (at_us % 2147483629 + 1)), 0) as checksum
from mixed
