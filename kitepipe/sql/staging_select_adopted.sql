-- The dates of every series that were found covered in the warehouse, and not asked for here.
-- One row a run of dates: instrument_key, interval, continuous, first_date, last_date.
select instrument_key, interval, continuous, first_date, last_date
from warehouse_coverage
where first_date <= last_date
order by all
