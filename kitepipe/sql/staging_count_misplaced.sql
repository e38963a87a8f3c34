-- How many replies have not just one body, in the file or in the archive. One row.
select count(*)
from reply
left join (
    select reply_id, count(*) as bodies
    from (select reply_id from body union all select reply_id from archived_body)
    group by reply_id
) using (reply_id)
where bodies is distinct from 1
