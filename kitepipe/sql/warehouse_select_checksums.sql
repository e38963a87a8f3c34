-- Count and checksum of a series' candles within spans of time, to be compared with staging's.
-- Reads kite_ohlcv_historic. Parameters: instrument_id, interval, starts and ends (instants, side
-- by side; a span ends before its end). One row is one span, in the order given.
-- Each candle is hashed, field into field, by the functions of hash partitions; kitepipe/candle_checksum.py
-- computes the same. Every bit of every field counts, a missing oi is a number of its own, and the
-- instant keeps moved rows apart. 0.3 us a candle; COPY out takes 1.2 us.
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
            sum(
                hashint8extended(
                    coalesce(h.oi, -7046029254386353131),
                    hashint8extended(
                        h.volume,
                        hashfloat8extended(
                            h.close,
                            hashfloat8extended(
                                h.low,
                                hashfloat8extended(
                                    h.high,
                                    hashfloat8extended(
                                        h.open,
                                        timestamp_hash_extended(h.date at time zone 'UTC', 0)
                                    )
                                )
                            )
                        )
                    )
                )
            ),
            0
        )::text as checksum
    from kite_ohlcv_historic as h
    where
        h.instrument_id = %(instrument_id)s
        and h.candle_interval = %(interval)s
        and h.date >= span.start
        and h.date < span.finish
) as totals
order by span.place
