-- Removes bodies from {table} that are not, byte for byte, what their reply was.
delete from {table}
where
    reply_id is not null
    and not exists (
        select 1
        from reply
        where reply.reply_id = {table}.reply_id and reply.sha256 = sha256({table}.body)
    )
