-- Notes that the bodies of the replies $ids (a list) stand in the Parquet file $name.
insert into archived_body (reply_id, name)
select unnest($ids), $name
