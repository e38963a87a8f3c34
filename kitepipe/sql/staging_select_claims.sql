-- Every reply of the series in the temp table wanted_series (instrument_key, interval,
-- continuous), with what it claims to decide. Parameter: $as_of (UTC), or null for all.
-- One row a reply; last_settled is the last date it settles, first_candle and last_candle the
-- dates of its candles (null where it is empty).
select
    instrument_key, interval, continuous,
    reply_id, sha256, fetched_at, first_date, last_date,
    least(last_date, settled_through) as last_settled, settled_through,
    rows, bytes, first_candle, last_candle
from reply
inner join chunk using (chunk_id)
inner join wanted_series using (instrument_key, interval, continuous)
where $as_of is null or fetched_at <= $as_of
order by instrument_key, interval, continuous, reply_id
