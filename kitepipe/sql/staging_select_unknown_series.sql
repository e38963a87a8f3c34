-- The wanted series of which nothing is known, not even that nothing was there. Reads the temp
-- tables wanted_instrument and known. Parameter: $intervals.
-- One row a series: interval, then the columns of staging_select_wanted.sql.
select interval, wanted_instrument.* exclude (place)
from wanted_instrument
cross join (select unnest(cast($intervals as varchar [])) as interval)
anti join known using (instrument_key, interval, continuous)
where case when continuous then interval = 'day' else not (stitched and interval = 'day') end
order by place
