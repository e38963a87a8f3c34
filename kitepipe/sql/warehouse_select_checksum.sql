-- Count and checksum of a series' candles within a span of time, to be compared with staging's.
-- Reads kite_ohlcv_historic. Parameters: instrument_id, interval, start and finish (instants; a candle
-- of the finish is not in it). One row.
-- Each candle is hashed by the functions of hash partitions; kitepipe/candle_checksum.py computes the
-- same. The instant keeps moved rows apart, and other seeds high and low. All goes into the seed of the
-- last hash: what is summed unmixed may cancel out where two candles change alike. Volume and oi go in
-- bit by bit (hashint8extended folds its argument into 32 bits first: a volume that lost its upper half
-- would hash as before); a missing oi is a number of its own. 0.24 us a candle, 0.10 to count them; COPY
-- out takes 1.2 us.
-- UTC is an interval of 0: a zone by its name is looked up for each candle, 0.07 us.
select
    count(*) as candles,
    coalesce(
        sum(
            hashfloat8extended(
                close,
                hashfloat8extended(
                    open, timestamp_hash_extended(date at time zone interval '0', 0) # volume
                )
                # coalesce(oi, -7046029254386353131)
                # hashfloat8extended(high, 0)
                # hashfloat8extended(low, 1)
            )
        ),
        0
    )::text as checksum
from kite_ohlcv_historic
where
    instrument_id = %(instrument_id)s
    and candle_interval = %(interval)s
    and date >= %(start)s
    and date < %(finish)s
