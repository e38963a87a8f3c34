-- Adds the bodies of the replies $ids (a list), as far as they stand in the Parquet file $path just
-- as they came, to the temp table staged_body.
insert into staged_body
select file.reply_id, file.body
from read_parquet($path) as file
inner join reply on file.reply_id = reply.reply_id
where file.reply_id in (select unnest($ids)) and sha256(file.body) = reply.sha256
