-- How many bodies the temp table staged_body has, and how many of them are not, byte for byte, what
-- their reply was. One row.
select count(*), count(*) filter (reply.sha256 is distinct from sha256(body))
from staged_body
left join reply using (reply_id)
