-- The newest reply of a series that has settled $session, or what the warehouse had of it.
-- Parameters: $instrument_key, $interval, $continuous, $session, $epoch (UTC).
-- At most one row: reply_id (null for the warehouse's), body (null for a reply's).
select reply_id, body
from (
    select reply.reply_id, null as body, reply.fetched_at
    from reply
    inner join chunk using (chunk_id)
    where
        chunk.instrument_key = $instrument_key
        and chunk.interval = $interval
        and chunk.continuous = $continuous
        and $session between chunk.first_date and least(chunk.last_date, reply.settled_through)
    union all
    select null, body, fetched_at
    from warehouse_coverage
    where
        instrument_key = $instrument_key
        and interval = $interval
        and continuous = $continuous
        and $session between first_date and last_date
)
where fetched_at >= $epoch
order by fetched_at desc, reply_id desc nulls last
limit 1
