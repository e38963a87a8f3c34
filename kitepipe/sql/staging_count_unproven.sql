-- How many bodies of {rows} (what stands after `from`) are not, byte for byte, what their reply in the
-- table reply was. One row.
select count(*)
from (select reply_id, body from {rows})
left join reply using (reply_id)
where reply_id is not null and reply.sha256 is distinct from sha256(body)
