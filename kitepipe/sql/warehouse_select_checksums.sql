-- Count and checksum of a series' candles within spans of time, to be compared with staging's.
-- Reads kite_ohlcv_historic. Parameters: instrument_id, interval, starts and ends (instants, side
-- by side; a span ends before its end). One row is one span, in the order given.
-- Prices count as two whole numbers, before and behind the point (times 2^52, which is exact), so
-- that every digit of a double counts: float sums depend on the order of rows. `mixed` is written
-- so that DuckDB computes the same: every product stays below 2^63, and mod() meets no negative
-- number but -1. The minute keeps swapped rows apart. 0.7 us a candle; COPY out takes 1.2 us.
select
    span.place,
    totals.candles,
    totals.checksum
from unnest(%(starts)s::timestamptz [], %(ends)s::timestamptz [])
with ordinality as span (start, finish, place)
cross join lateral (
    select
        count(*) as candles,
        coalesce(
            sum(mod(mixed.value, 2147483647) * (mod(mixed.minute, 65521) + 1)), 0
        )::text as checksum
    from (
        select
            floor(date_part('epoch', h.date) / 60)::bigint as minute,
            (
                mod(scaled.open, 2147483647) * 31
                + mod(scaled.high, 2147483647) * 37
                + mod(scaled.low, 2147483647) * 41
                + mod(scaled.close, 2147483647) * 43
                + mod(h.volume, 2147483647) * 47
                + mod(coalesce(h.oi, -1), 2147483647) * 53
            ) as value
        from kite_ohlcv_historic as h
        cross join lateral (
            select
                case when abs(h.open) < 8e12 then
                    floor(h.open)::bigint * 1048573
                    + floor((h.open - floor(h.open)) * 4503599627370496)::bigint
                else -1 end as open,
                case when abs(h.high) < 8e12 then
                    floor(h.high)::bigint * 1048573
                    + floor((h.high - floor(h.high)) * 4503599627370496)::bigint
                else -1 end as high,
                case when abs(h.low) < 8e12 then
                    floor(h.low)::bigint * 1048573
                    + floor((h.low - floor(h.low)) * 4503599627370496)::bigint
                else -1 end as low,
                case when abs(h.close) < 8e12 then
                    floor(h.close)::bigint * 1048573
                    + floor((h.close - floor(h.close)) * 4503599627370496)::bigint
                else -1 end as close
        ) as scaled
        where
            h.instrument_id = %(instrument_id)s
            and h.candle_interval = %(interval)s
            and h.date >= span.start
            and h.date < span.finish
    ) as mixed
) as totals
order by span.place
