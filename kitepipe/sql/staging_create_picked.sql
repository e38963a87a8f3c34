-- The wanted replies with their bodies. A view: a table would be one more copy of each body.
-- Reads: wanted_reply, staged_body. Writes: temp view picked. One row: a reply.
create or replace temp view picked as
select wanted_reply.*, staged_body.body
from wanted_reply
inner join staged_body using (reply_id)
