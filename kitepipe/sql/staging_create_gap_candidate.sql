-- All that may be a gap: the temp table gap_candidate. Missing sessions, short ones, and replies
-- that are empty over a week or more within the listed life, where no session is known by others
-- (no exchange was ever shut for a week).
-- A series that lacks more than a fifth of the sessions around (60 before, 60 after), the present
-- run of missing ones aside, is seldom traded: its empty days are no gaps.
-- Reads gap_missing, gap_short, gap_reply, gap_series, gap_session. One row a candidate: series_id,
-- first_date, last_date, needed (candles), kind (missing, short, empty), number, shown, seldom.
create or replace temp table gap_candidate as
with
island as (
    select
        *,
        number - row_number() over (partition by series_id, shown order by number) as run
    from gap_missing
),
counted as (
    select
        *,
        count(*) over (partition by series_id, shown, run) as run_length,
        count(*) over (
            partition by series_id order by number range between 60 preceding and 60 following
        ) as near
    from island
),
life as (
    select
        series_id, min(number) as first_number, max(number) as last_number
    from gap_series
    inner join gap_session
        on
            gap_session.exchange = gap_series.exchange
            and gap_session.date between first_candle and end_date
    where wanted
    group by series_id
),
empty_reply as (
    select
        series_id,
        greatest(gap_reply.first_date, gap_series.first_candle + 1) as first_date,
        least(last_date, end_date) as last_date
    from gap_reply
    inner join gap_series using (instrument_key, interval, continuous)
    where wanted and rows = 0 and gap_series.first_candle is not null
)
select
    series_id, date as first_date, date as last_date, 1 as needed, 'missing' as kind,
    coalesce(number, epoch(date)::bigint // 86400) as number, shown,
    not shown and 5 * (near - run_length) > (
        least(number + 60, last_number) - greatest(number - 60, first_number) + 1
    ) as seldom
from counted
left join life using (series_id)
union all
select series_id, date, date, needed, 'short', coalesce(number, epoch(date)::bigint // 86400), true, false
from gap_short
inner join gap_series using (series_id)
left join gap_session using (exchange, date)
union all
select distinct
    series_id, first_date, last_date, 1, 'empty', epoch(first_date)::bigint // 86400, false, false
from empty_reply
where
    last_date - first_date >= 6
    and not exists (
        from gap_session
        inner join gap_series using (exchange)
        where
            gap_series.series_id = empty_reply.series_id
            and gap_session.date between empty_reply.first_date and empty_reply.last_date
    )
