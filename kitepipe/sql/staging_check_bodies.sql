-- How many bodies {rows} (a table, or some rows of one) has in the staging file and in the file in use,
-- and how many in that are byte for byte what their reply was. One row.
select
    (select count(reply_id) from staging.{rows}), count(reply_id),
    count(distinct reply_id) filter (where sha256(body) = reply.sha256)
from (select reply_id, body from {rows})
left join reply using (reply_id)
