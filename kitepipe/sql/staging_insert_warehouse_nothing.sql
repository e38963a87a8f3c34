-- Notes that the warehouse was looked at, and has nothing of these series: it is not looked at again.
-- Parameters: $keys, $intervals, $continuous, three lists of one length. Writes one row a series, an
-- empty run of dates at the first of epochs: it covers nothing, and any reply is newer.
insert into warehouse_coverage (
    instrument_key, interval, continuous, oi, first_date, last_date, last_candle, fetched_at, body
)
select
    unnest(cast($keys as bigint[])), unnest(cast($intervals as varchar[])),
    unnest(cast($continuous as boolean[])),
    false, date '1970-01-02', date '1970-01-01', null, timestamp '1970-01-01', ''
