-- Where a writer goes on: the next chunk_id and reply_id, the bytes in body_open, and the instant
-- after which what comes next was fetched (null: nothing is there).
-- One row.
select
    (select coalesce(max(chunk_id), 0) + 1 from chunk),
    (select coalesce(max(reply_id), 0) + 1 from reply),
    (select coalesce(sum(strlen(body)), 0) from body_open),
    (
        select max(fetched_at)
        from (from (select fetched_at from reply) union all (select fetched_at from warehouse_coverage))
    )
