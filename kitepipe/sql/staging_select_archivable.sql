-- The seals, and what of each may go to the archive: replies that are among the loaded ones (temp
-- view loaded_reply: reply_id), but for the one of each series that the next fetch compares with
-- (staging_select_reference.sql): the newest that settled the last session of the present price
-- base. One row a seal of which any may go, oldest first: its first reply, the replies that may go
-- (a list), their bytes, those that stay (a list), their bytes.
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
)
select
    body_sealed.first_reply,
    list(reply_id order by reply_id) filter (movable),
    sum(bytes) filter (movable),
    coalesce(list(reply_id order by reply_id) filter (not movable), []),
    coalesce(sum(bytes) filter (not movable), 0)
from body_sealed
inner join there using (reply_id)
group by body_sealed.first_reply
having bool_or(movable)
order by body_sealed.first_reply
