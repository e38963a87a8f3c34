-- Count and checksum of a series' candles within spans of time, to be compared with staging's.
-- Reads kite_ohlcv_historic. Parameters: instrument_id, interval, starts and ends (instants, side
-- by side; a span ends before its end). One row is one span, in the order given.
-- Each candle is hashed, field into field, by the functions of hash partitions; kitepipe/candle_checksum.py
-- computes the same. The instant keeps moved rows apart. Volume and oi go into the seeds, bit by bit
-- (hashint8extended folds its argument into 32 bits first: a volume that lost its upper half would
-- hash as before); a missing oi is a number of its own. 0.27 us a candle; COPY out takes 1.2 us.
-- UTC is an interval of 0: a zone by its name is looked up for each candle, 0.07 us.
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
                hashfloat8extended(
                    h.close,
                    hashfloat8extended(
                        h.low,
                        hashfloat8extended(
                            h.high,
                            hashfloat8extended(
                                h.open,
                                timestamp_hash_extended(h.date at time zone interval '0', 0)
                                # h.volume
                            ) # coalesce(h.oi, -7046029254386353131)
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
