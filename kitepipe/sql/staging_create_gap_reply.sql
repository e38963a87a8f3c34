-- What each staged reply settles, as the search for gaps wants it: the temp table gap_reply.
-- A later rank decides. Kite's clock tells the day on which it came; ours where it is missing or
-- more than 5 minutes off, if that is earlier. One row a reply, those of a probe left out.
create or replace temp table gap_reply as
select
    row_number() over (order by fetched_at, reply_id) as rank,
    reply_id, chunk_id, instrument_key, interval, continuous, exchange, tradingsymbol,
    first_date, least(last_date, settled_through) as last_date,
    fetched_at, rows, first_candle, last_settled_candle, last_candle,
    cast(
        if(
            http_date is null or abs(epoch(http_date) - epoch(fetched_at)) > 300,
            least(http_date, fetched_at), http_date
        ) + interval '5 hours 30 minutes' as date
    ) as day
from reply
inner join chunk using (chunk_id)
where interval <> 'probe'
