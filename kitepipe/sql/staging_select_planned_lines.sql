-- Each series that is planned, in the order in which it is asked; of one instrument day, or the
-- probe, comes first. Reads the temp tables planned, wanted_instrument. Parameter: $intervals.
-- One row a series: its name, requests, the first and the last date.
select
    exchange || ':' || tradingsymbol || ' '
    || case interval when 'probe' then 'day (probe)' else interval end,
    requests::bigint, first_date, last_date
from planned
inner join wanted_instrument using (place)
order by
    place, interval not in ('day', 'probe'),
    list_position(cast($intervals as varchar []), interval)
