-- The sealed tables of bodies, and what of each may go to the archive: replies that are among the
-- loaded ones (temp view loaded_reply: reply_id), but for the one of each series that the next
-- fetch compares with (staging_select_reference.sql): the newest that settled the last session of
-- the present price base. One row a table, oldest replies first: its number, the replies that may
-- go (a list), their bytes, and the bytes of those that stay.
with
present as (
    select instrument_key, interval, continuous, max(epoch) as epoch
    from rebase
    group by all
),
success as (
    select
        instrument_key, interval, continuous, reply_id, fetched_at, first_date,
        least(last_date, settled_through) as last_date, last_settled_candle
    from reply
    inner join chunk using (chunk_id)
    union all
    select
        instrument_key, interval, continuous, null, fetched_at, first_date, last_date, last_candle
    from warehouse_coverage
),
counted as (
    select
        success.*,
        max(last_settled_candle) over (partition by instrument_key, interval, continuous) as session
    from success
    left join present using (instrument_key, interval, continuous)
    where fetched_at >= coalesce(epoch, timestamp '1970-01-01')
),
compared as (
    select arg_max(reply_id, (fetched_at, reply_id)) as reply_id
    from counted
    where reply_id is not null and session between first_date and last_date
    group by instrument_key, interval, continuous
),
there as (
    select
        reply_id, bytes,
        reply_id in (select reply_id from loaded_reply)
        and reply_id not in (select reply_id from compared) as movable
    from reply
    where reply_id in (select reply_id from body)
)
select
    body_table, coalesce(list(reply_id order by reply_id) filter (movable), []),
    coalesce(sum(bytes) filter (movable), 0), coalesce(sum(bytes) filter (not movable), 0)
from seal
left join there on reply_id between first_reply and last_reply
group by body_table, first_reply
order by first_reply
