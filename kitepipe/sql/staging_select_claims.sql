-- Every reply of some series, with what it claims to decide. Parameters: $keys, $intervals,
-- $continuous (side by side), $as_of (UTC), or null for all.
-- One row a reply; last_settled is the last date it settles, first_candle and last_candle the
-- dates of its candles (null where it is empty).
with wanted as (
    select
        unnest(cast($keys as bigint [])) as instrument_key,
        unnest(cast($intervals as varchar [])) as interval,
        unnest(cast($continuous as boolean [])) as continuous
)
select
    instrument_key, interval, continuous,
    reply_id, sha256, fetched_at, first_date, last_date,
    least(last_date, settled_through) as last_settled, settled_through,
    rows, bytes, first_candle, last_candle
from reply
inner join chunk using (chunk_id)
inner join wanted using (instrument_key, interval, continuous)
where $as_of is null or fetched_at <= $as_of
order by instrument_key, interval, continuous, reply_id
