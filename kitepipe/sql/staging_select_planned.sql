-- The next instruments of which something is to be asked, in order. Reads the temp tables
-- wanted_instrument and planned. Parameters: $after (a place), $most.
-- One row an instrument: its place, then the columns of staging_select_wanted.sql.
select *
from wanted_instrument
where place > $after and place in (select place from planned)
order by place
limit $most
