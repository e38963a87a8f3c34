-- The replies of $ids (a list; null: all) that have no body in the file in use or in the archive yet.
-- One row a reply, in order: reply_id, bytes.
select reply_id, bytes
from reply
where
    ($ids is null or reply_id in (select unnest($ids)))
    and reply_id not in (select reply_id from body)
    and reply_id not in (select reply_id from archived_body)
order by reply_id
