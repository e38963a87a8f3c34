-- Sessions for which the newest reply of a series has no candle: the temp table gap_missing.
-- Replies that have as many sessions as there were are passed over by their number alone. A date on
-- which the instrument itself traded in another interval counts as a session of its own.
-- Reads gap_reply, gap_series, gap_day, gap_session. One row a series and date; number is the
-- session's, or null; shown: it traded in another interval.
create or replace temp table gap_missing as
with
expected as (
    select
        bounded.*,
        coalesce(until.number, 0) - coalesce(before.number, 0) as sessions
    from (
        select
            rank, series_id, gap_series.exchange,
            greatest(gap_reply.first_date, gap_series.first_candle) as first_date,
            least(last_date, end_date) as last_date
        from gap_reply
        inner join gap_series using (instrument_key, interval, continuous)
        where wanted and gap_series.first_candle is not null
    ) as bounded
    asof left join gap_session as until
        on bounded.exchange = until.exchange and bounded.last_date >= until.date
    asof left join gap_session as before
        on bounded.exchange = before.exchange and bounded.first_date > before.date
    where bounded.first_date <= bounded.last_date
),
had as (
    select rank, count(*) as sessions
    from gap_day
    inner join gap_series using (series_id)
    inner join gap_session using (exchange, date)
    where wanted
    group by rank
),
lacking as (
    select expected.*
    from expected
    left join had using (rank)
    where coalesce(had.sessions, 0) < expected.sessions
),
lacked as (
    select series_id, gap_session.date, max(lacking.rank) as rank
    from lacking
    inner join gap_session
        on
            gap_session.exchange = lacking.exchange
            and gap_session.date between lacking.first_date and lacking.last_date
    anti join gap_day on gap_day.rank = lacking.rank and gap_day.date = gap_session.date
    group by series_id, gap_session.date
),
peers as (
    select series_id, date
    from lacked
    anti join gap_day
        on
            gap_day.series_id = lacked.series_id and gap_day.date = lacked.date
            and gap_day.rank > lacked.rank
),
sibling as (
    select distinct series.series_id, gap_day.date
    from gap_day
    inner join gap_series as other using (series_id)
    inner join gap_series as series
        on series.instrument_key = other.instrument_key and series.series_id <> other.series_id
    where
        series.wanted and other.has_siblings
        and gap_day.date between coalesce(series.first_candle, gap_day.date) and series.end_date
),
own as (
    from sibling
    anti join gap_day on gap_day.series_id = sibling.series_id and gap_day.date = sibling.date
)
select series_id, date, number, sibling.series_id is not null as shown
from (from peers union from own) as missing
left join sibling using (series_id, date)
inner join gap_series using (series_id)
left join gap_session using (exchange, date)
