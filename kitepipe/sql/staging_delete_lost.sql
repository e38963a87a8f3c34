-- Removes replies that have a body in none of the queries {kept}. One row for each: reply_id.
delete from reply
where reply_id not in (select reply_id from ({kept}) where reply_id is not null)
returning reply_id
