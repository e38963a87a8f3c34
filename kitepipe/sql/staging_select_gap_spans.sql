-- The dates of intraday series, cut into spans of about $at_once of them, and of one date at least.
-- Reads gap_day, gap_series. One row a span: its first and last date.
select min(date), max(date)
from (
    select date, sum(dates) over (order by date) // $at_once as number
    from (
        select date, count(*) as dates
        from gap_day
        inner join gap_series using (series_id)
        where interval <> 'day'
        group by date
    )
)
group by number
order by number
