-- The series with a reply that is not among the loaded ones, in order. Reads the temp table
-- loaded_reply (reply_id). Parameter: $as_of (UTC), or null for all.
-- One row a series: instrument_key, interval, continuous, exchange, tradingsymbol (the newest
-- that was asked), new replies, their bytes, the earliest and latest date with a candle.
select
    instrument_key, interval, continuous,
    arg_max(exchange, chunk_id), arg_max(tradingsymbol, chunk_id),
    count(*), sum(bytes), min(first_candle), max(last_candle)
from reply
inner join chunk using (chunk_id)
where
    interval <> 'probe'  -- only asked to find where history begins
    and reply_id not in (select reply_id from loaded_reply)
    and ($as_of is null or fetched_at <= $as_of)
group by instrument_key, interval, continuous
order by instrument_key, interval, continuous
