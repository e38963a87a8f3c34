-- The candidates that are gaps, as the newest reply has it: the temp table gap_found.
-- What counts as confirmation are the replies since the last one that had the candles, by the days
-- on which they came. A newest reply of an older epoch decides nothing.
-- Reads gap_candidate, gap_reply, gap_day, gap_series. One row a gap: the candidate's columns, and
-- confirmed (days), asked (the last day), hollow (the newest reply is empty as a whole).
create or replace temp table gap_found as
with
had as (
    select candidate.series_id, candidate.first_date, candidate.last_date, kind, max(rank) as rank
    from gap_candidate as candidate
    inner join gap_day
        on gap_day.series_id = candidate.series_id and gap_day.date = candidate.first_date
    where kind <> 'empty' and not seldom and candles >= needed
    group by all
    union all
    select candidate.series_id, first_date, last_date, kind, max(rank)
    from gap_candidate as candidate
    inner join gap_day
        on
            gap_day.series_id = candidate.series_id
            and gap_day.date between candidate.first_date and candidate.last_date
    where kind = 'empty'
    group by all
),
lacking as (
    select
        candidate.series_id, candidate.first_date, candidate.last_date, candidate.kind,
        count(distinct day) as confirmed, max(day) as asked,
        arg_max(rows, reply.rank) = 0 as hollow, max(fetched_at) as fetched_at
    from gap_candidate as candidate
    inner join gap_series on gap_series.series_id = candidate.series_id
    inner join gap_reply as reply
        on
            reply.instrument_key = gap_series.instrument_key
            and reply.interval = gap_series.interval
            and reply.continuous = gap_series.continuous
            and reply.first_date <= candidate.first_date
            and reply.last_date >= candidate.last_date
    left join had
        on
            had.series_id = candidate.series_id and had.first_date = candidate.first_date
            and had.last_date = candidate.last_date and had.kind = candidate.kind
    where not seldom and reply.rank > coalesce(had.rank, 0)
    group by all
)
select gap_candidate.*, confirmed, asked, hollow
from gap_candidate
inner join lacking using (series_id, first_date, last_date, kind)
inner join gap_series using (series_id)
where lacking.fetched_at >= gap_series.epoch
