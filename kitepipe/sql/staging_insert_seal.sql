-- Notes which replies the sealed table $body_table holds: those of body_open now. Writes one row.
insert into seal (body_table, first_reply, last_reply)
select $body_table, min(reply_id), max(reply_id)
from body_open
