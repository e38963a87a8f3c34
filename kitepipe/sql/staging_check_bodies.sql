-- How many bodies {part} (a table, or some rows of one) has in the attached databases `source` and
-- `target`, and how many in `target` are byte for byte what their reply was. One row.
select
    (select count(reply_id) from source.{part}), count(reply_id),
    count(distinct reply_id) filter (where sha256(body) = reply.sha256)
from (select reply_id, body from target.{part})
left join target.reply using (reply_id)
