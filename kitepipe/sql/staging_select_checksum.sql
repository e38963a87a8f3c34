-- Count and checksum of the good candles, computed as warehouse_select_checksums.sql does there.
-- Reads: candle. One row: candles, checksum.
-- Every digit of a price counts, as a whole number: sums of floats depend on the order of rows.
with scaled as (
    select
        at_us // 60000000 as minute,
        case when abs(open) < 8e12 then
            cast(floor(open) as bigint) * 1048573
            + cast(floor((open - floor(open)) * 4503599627370496) as bigint)
        else -1 end as open,
        case when abs(high) < 8e12 then
            cast(floor(high) as bigint) * 1048573
            + cast(floor((high - floor(high)) * 4503599627370496) as bigint)
        else -1 end as high,
        case when abs(low) < 8e12 then
            cast(floor(low) as bigint) * 1048573
            + cast(floor((low - floor(low)) * 4503599627370496) as bigint)
        else -1 end as low,
        case when abs(close) < 8e12 then
            cast(floor(close) as bigint) * 1048573
            + cast(floor((close - floor(close)) * 4503599627370496) as bigint)
        else -1 end as close,
        volume,
        coalesce(oi, -1) as oi
    from candle
),
mixed as (
    select
        minute,
        (open % 2147483647) * 31
        + (high % 2147483647) * 37
        + (low % 2147483647) * 41
        + (close % 2147483647) * 43
        + (volume % 2147483647) * 47
        + (oi % 2147483647) * 53 as value
    from scaled
)
select
    count(*) as candles,
    coalesce(sum(cast(value % 2147483647 as hugeint) * (minute % 65521 + 1)), 0) as checksum
from mixed
