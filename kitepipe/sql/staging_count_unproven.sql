-- How many bodies {rows} has (what stands after `from`), and how many of them are not, byte for byte,
-- what their reply in the table reply was. One row.
select count(*), count(*) filter (reply.sha256 is distinct from sha256(body))
from (select reply_id, body from {rows})
left join reply using (reply_id)
where reply_id is not null
