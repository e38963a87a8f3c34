-- The dates of intraday series, cut into spans of about $at_once of them, or of 62 days where those have
-- more: so many are read around each.
-- Reads gap_day, gap_series. One row a span: its first and last date.
select min(date), max(date)
from (
    select
        date,
        sum(dates) over (order by date)
        // greatest($at_once, cast(62 * avg(dates) over () as bigint)) as number
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
