-- Notes a Parquet file that holds the bodies of the replies $ids (a list). Parameters: $name, $ids,
-- $file_bytes. Writes one row.
insert into archive_file (name, first_reply, last_reply, replies, bytes, file_bytes)
select $name, min(reply_id), max(reply_id), count(*), sum(bytes), $file_bytes
from reply
where reply_id in (select unnest($ids))
