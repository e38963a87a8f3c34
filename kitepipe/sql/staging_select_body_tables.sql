-- The tables in which the bodies of the replies $ids (a list) stand; null stands for body_open.
-- One row a table, oldest first.
select distinct seal.body_table
from (select unnest($ids) as reply_id) as wanted
left join seal on wanted.reply_id between seal.first_reply and seal.last_reply
order by seal.body_table
