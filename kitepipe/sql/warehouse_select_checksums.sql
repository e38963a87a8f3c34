-- Count and checksum of a series' candles within spans of time, to be compared with staging's.
-- Reads kite_ohlcv_historic. Parameters: instrument_id, interval, starts and ends (instants, side
-- by side; a span ends before its end). One row is one span, in the order given.
-- Prices count as two whole numbers, before and behind the point (times 2^62, which is exact), so
-- that every digit of a double from 0.001 to 4e12 counts: float sums depend on the order of rows.
-- `mixed` is written so that DuckDB computes the same: every product stays below 2^63. The modulus
-- is a prime near no number that stands for something, the factors are too large for small changes
-- of two fields to cancel, a missing oi is a number of its own, and the microsecond keeps swapped
-- and moved rows apart. 0.7 us a candle; COPY out takes 1.2 us.
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
            sum(mod(mixed.value, 2147483629) * (mod(mixed.at_us, 2147483629) + 1)), 0
        )::text as checksum
    from (
        select
            round(date_part('epoch', h.date) * 1000000)::bigint as at_us,
            (
                mod(scaled.open, 2147483629) * 201326611
                + mod(scaled.high, 2147483629) * 161061293
                + mod(scaled.low, 2147483629) * 234881027
                + mod(scaled.close, 2147483629) * 118111633
                + mod(h.volume, 2147483629) * 187904819
                + mod(coalesce(h.oi, -7046029254386353131), 2147483629) * 142606337
            ) as value
        from kite_ohlcv_historic as h
        cross join lateral (
            select
                case
                    when abs(h.open) < 4e12 then
                        floor(h.open)::bigint * 1048573
                        + floor((h.open - floor(h.open)) * 4611686018427387904)::bigint
                    when abs(h.open) < 9e18 then floor(h.open)::bigint
                    else -1
                end as open,
                case
                    when abs(h.high) < 4e12 then
                        floor(h.high)::bigint * 1048573
                        + floor((h.high - floor(h.high)) * 4611686018427387904)::bigint
                    when abs(h.high) < 9e18 then floor(h.high)::bigint
                    else -1
                end as high,
                case
                    when abs(h.low) < 4e12 then
                        floor(h.low)::bigint * 1048573
                        + floor((h.low - floor(h.low)) * 4611686018427387904)::bigint
                    when abs(h.low) < 9e18 then floor(h.low)::bigint
                    else -1
                end as low,
                case
                    when abs(h.close) < 4e12 then
                        floor(h.close)::bigint * 1048573
                        + floor((h.close - floor(h.close)) * 4611686018427387904)::bigint
                    when abs(h.close) < 9e18 then floor(h.close)::bigint
                    else -1
                end as close
        ) as scaled
        where
            h.instrument_id = %(instrument_id)s
            and h.candle_interval = %(interval)s
            and h.date >= span.start
            and h.date < span.finish
    ) as mixed
) as totals
order by span.place
