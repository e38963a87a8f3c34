-- Count and checksum of the good candles, computed as warehouse_select_checksums.sql does there.
-- Reads: candle. One row: candles, checksum.
-- Prices count as whole numbers (times 10^4): sums of floats depend on the number of threads.
with scaled as (
    select
        at_us // 60000000 as minute,
        case when abs(open) < 9e14 then cast(floor(open * 10000 + 0.5) as bigint) else -1 end
            as open,
        case when abs(high) < 9e14 then cast(floor(high * 10000 + 0.5) as bigint) else -1 end
            as high,
        case when abs(low) < 9e14 then cast(floor(low * 10000 + 0.5) as bigint) else -1 end
            as low,
        case when abs(close) < 9e14 then cast(floor(close * 10000 + 0.5) as bigint) else -1 end
            as close,
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
