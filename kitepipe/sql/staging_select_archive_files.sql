-- The Parquet files in which the bodies of the replies $ids (a list) stand. One row a file: its
-- name, and which of the replies (a list).
select name, list(reply_id)
from archived_body
where reply_id in (select unnest($ids))
group by name
order by name
