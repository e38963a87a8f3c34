-- The replies of the attached database `source` from $first_reply, where a seal begins, up to where
-- the next one does; null: what is not sealed, and may be the last seal. One row a reply, in order.
select reply_id
from source.reply
where
    reply_id >= coalesce($first_reply, (select max(first_reply) from source.body_sealed), 0)
    and reply_id < coalesce(
        (select min(first_reply) from source.body_sealed where first_reply > $first_reply),
        9223372036854775807
    )
order by reply_id
