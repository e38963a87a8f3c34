-- The dates of intraday series, cut into spans of about $at_once of them, or of 62 days where those have
-- more: so many are read around each. Left out are spans in which each session of each series has as many
-- candles as the fullest one of that series: none of them is short.
-- Reads gap_day, gap_series. One row a span: its first and last date.
with
fullest as (
    select series_id, max(candles) as candles
    from gap_day
    group by series_id
),
dated as (
    select date, count(*) as dates, bool_or(gap_day.candles < fullest.candles) as uneven
    from gap_day
    inner join gap_series using (series_id)
    inner join fullest using (series_id)
    where interval <> 'day'
    group by date
)
select min(date), max(date)
from (
    select
        *,
        sum(dates) over (order by date)
        // greatest($at_once, cast(62 * avg(dates) over () as bigint)) as number
    from dated
)
group by number
having bool_or(uneven)
order by number
