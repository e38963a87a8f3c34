-- Where a writer goes on: the next chunk_id and reply_id, and the bytes in body_open.
-- One row.
select
    (select coalesce(max(chunk_id), 0) + 1 from chunk),
    (select coalesce(max(reply_id), 0) + 1 from reply),
    (select coalesce(sum(strlen(body)), 0) from body_open)
