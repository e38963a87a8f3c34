-- The staging file from inside: bytes in use, bytes free for what comes next, bytes of the bodies
-- in it (as they came). One row.
select
    used_blocks * block_size, free_blocks * block_size,
    (
        select coalesce(sum(bytes), 0)
        from reply
        where reply_id in (select reply_id from body)
    )
from pragma_database_size()
where database_name = current_database()
