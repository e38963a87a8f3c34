-- How many rows the Parquet file $path has, and how many replies of the temp table staged_body are
-- there byte for byte. One row.
select
    count(*),
    count(distinct reply.reply_id) filter (
        where sha256(file.body) = reply.sha256
        and file.reply_id in (select staged_body.reply_id from staged_body)
    )
from read_parquet($path) as file
left join reply on file.reply_id = reply.reply_id
