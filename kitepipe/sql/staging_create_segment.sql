-- The runs of dates that the wanted replies decide, one after another.
-- Reads: wanted_reply. Writes: temp view segment. One row: a run of dates, of one reply.
create or replace temp view segment as
select reply_id, unnest(decides_first) as first, unnest(decides_last) as last
from wanted_reply
