-- The dates of intraday series, cut into spans of about $at_once of them, or of 62 days where those have
-- more: so many are read around each. Left out are spans in which none can be short: each session of each
-- series has as many candles as the fullest one of that series, or no other series of its exchange has one
-- that day to tell a short session from a short day.
-- Reads gap_day, gap_series. One row a span: its first and last date.
with
fullest as (
    select series_id, max(candles) as candles
    from gap_day
    group by series_id
),
traded as (
    select
        date, count(*) as dates,
        bool_or(gap_day.candles < fullest.candles) and min(series_id) < max(series_id) as uneven
    from gap_day
    inner join gap_series using (series_id)
    inner join fullest using (series_id)
    where interval <> 'day'
    group by exchange, date
),
dated as (
    select date, sum(dates) as dates, bool_or(uneven) as uneven
    from traded
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
