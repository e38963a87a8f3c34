-- The seals of the attached database `source`, oldest first. One row a seal: its first reply.
select distinct first_reply
from source.body_sealed
order by first_reply
