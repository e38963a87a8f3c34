-- What is missing, held or not to be expected, and why; consecutive sessions of one kind together,
-- but each short one alone.
-- Parameters: $confirmations, days on which a gap must be confirmed to be absent at source; $long,
-- sessions in a row without a candle in any interval, by replies that are not empty, that make a
-- suspension. What follows on sessions absent at source without a candle between is suspended too.
-- Reads gap_found, gap_candidate, gap_short, gap_series, gap_session, gap_reply, reply. One row a
-- gap: instrument_key, interval, continuous, exchange, tradingsymbol, kind, first and last date,
-- sessions, confirmed (days), asked (last day, null where it says nothing), hollow, and of a short
-- session (else null) its reply, and of the whole one beside it the reply, exchange, symbol, date.
with
run as (
    select
        *,
        number - row_number() over (partition by series_id, kind, shown order by number) as run
    from gap_found
),
suspect as (
    select
        *,
        count(*) filter (where not hollow) over (partition by series_id, kind, shown, run) as quiet,
        coalesce(bool_or(confirmed >= $confirmations) over (
            partition by series_id, kind, shown, run order by number
            rows between unbounded preceding and 1 preceding
        ), false) as follows
    from run
),
judged as (
    select
        *,
        case
            when confirmed >= $confirmations then 'absent at source'
            when kind = 'missing' and not shown and (quiet >= $long or follows) then 'suspended'
            else 'hole'
        end as verdict
    from suspect
),
placed as (
    select
        *,
        number - row_number() over (
            partition by
                series_id, kind, shown, verdict, confirmed, asked, hollow,
                if(kind = 'short', number, null)
            order by number
        ) as place
    from judged
),
life as (
    select series_id, asked_from as first_date, coalesce(first_candle - 1, horizon) as last_date
    from gap_series
    where wanted
    union all
    select series_id, end_date + 1, horizon
    from gap_series
    where wanted and first_candle is not null
),
gap as (
    select
        series_id, verdict, min(first_date) as first_date, max(last_date) as last_date,
        count(*) as sessions, confirmed, asked, hollow, kind = 'short' as short
    from placed
    group by series_id, kind, shown, verdict, confirmed, asked, hollow, place
    union all
    select
        series_id, 'seldom traded', min(first_date), max(last_date), count(*), 0, null, false, false
    from gap_candidate
    where seldom
    group by series_id
    union all
    select
        life.series_id, 'not listed', life.first_date, life.last_date, count(gap_session.date),
        0, null, false, false
    from life
    inner join gap_series using (series_id)
    left join gap_session
        on
            gap_session.exchange = gap_series.exchange
            and gap_session.date between life.first_date and life.last_date
    where life.first_date <= life.last_date
    group by all
    union all
    select
        series_id, 'held', min(date), max(date), count(distinct date), 0, null, false, false
    from (
        select series_id, horizon, unnest(dates) as date
        from reply
        inner join gap_reply using (reply_id)
        inner join gap_series using (instrument_key, interval, continuous)
        where wanted and reply.last_candle > horizon
    )
    where date > horizon
    group by series_id
)
select
    gap_series.instrument_key, gap_series.interval, gap_series.continuous,
    gap_series.exchange, gap_series.tradingsymbol, verdict,
    gap.first_date, gap.last_date, sessions, confirmed, asked, hollow,
    own.reply_id, whole.reply_id, whole_series.exchange, whole_series.tradingsymbol, like_date
from gap
inner join gap_series using (series_id)
left join gap_short on short and gap_short.series_id = gap.series_id and date = gap.first_date
left join gap_reply as own on own.rank = gap_short.rank
left join gap_reply as whole on whole.rank = like_rank
left join gap_series as whole_series on whole_series.series_id = like_series
order by gap_series.exchange, gap_series.tradingsymbol, gap_series.interval, gap.first_date
