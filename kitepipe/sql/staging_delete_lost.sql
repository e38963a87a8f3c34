-- Removes replies that have no body, neither in the file nor in the archive. One row for each:
-- reply_id.
delete from reply
where
    reply_id not in (select reply_id from body)
    and reply_id not in (select reply_id from archived_body)
returning reply_id
