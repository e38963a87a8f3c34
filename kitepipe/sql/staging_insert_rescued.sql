-- Takes the bodies of {rows} at the places $first to $last (rowids) into the temp table rescued: those
-- that are, byte for byte, what their reply was, and of which the file in use has none yet.
insert into rescued
select reply_id, any_value(body)
from (select reply_id, body from {rows} where rowid between $first and $last)
inner join reply using (reply_id)
where
    sha256(body) = reply.sha256
    and reply_id not in (select reply_id from body)
    and reply_id not in (select reply_id from archived_body)
    and reply_id not in (select reply_id from rescued)
group by reply_id
