-- The seals of the staging file, oldest first. One row a seal: its first reply.
select distinct first_reply
from staging.body_sealed
order by first_reply
