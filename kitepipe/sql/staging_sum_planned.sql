-- What is planned, by interval (`probe` is one). Reads the temp table planned.
-- One row an interval: its name, how many series, their requests and days, and the first date.
select interval, count(*), sum(requests)::bigint, sum(days)::bigint, min(first_date)
from planned
group by interval
order by interval
