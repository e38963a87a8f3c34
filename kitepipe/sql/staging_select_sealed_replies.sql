-- The replies whose bodies stand in the sealed table $body_table of the attached database `source`;
-- null: in body_open. One row a reply.
select reply_id
from source.reply
left join source.seal on reply.reply_id between seal.first_reply and seal.last_reply
where seal.body_table is not distinct from $body_table
order by reply_id
