-- What is known of every series in its present epoch, into the temp table known: the settled dates,
-- as islands. Parameter: $oi; where true, and where the series was ever asked with oi, only replies
-- that were asked so cover anything; null: all do. The price base is told by all: what is asked
-- again for its oi may have been re-based meanwhile.
-- One row a series: instrument_key, interval, continuous, epoch, fetched_at of the newest reply
-- (UTC) and its period (one that was on its way at 08:00 IST may stand on either price base: it
-- counts for the first; the judgment is that of sessions.judged_at), first date with a candle, last
-- settled date with one, with_oi (it was ever asked so), and the islands as two lists (first and
-- last dates).
create or replace temp table known as
with
present as (
    select instrument_key, interval, continuous, max(epoch) as epoch
    from rebase
    group by all
),
success as (
    select
        instrument_key, interval, continuous, oi, fetched_at, least(
            asked_at,
            case
                when abs(epoch_us(http_date) - epoch_us(fetched_at)) <= 300_000_000 then http_date
                else least(http_date, fetched_at)
            end
        ) as stands_at,
        last_settled_candle, first_candle, first_date, least(last_date, settled_through) as last_date
    from reply
    inner join chunk using (chunk_id)
    union all
    select
        instrument_key, interval, continuous, oi, fetched_at, fetched_at,
        last_candle, first_candle, first_date, last_date
    from warehouse_coverage
),
ever as (
    select distinct instrument_key, interval, continuous, true as with_oi
    from success
    where oi
),
counted as materialized (
    select
        success.*, coalesce(present.epoch, timestamp '1970-01-01') as epoch,
        coalesce(with_oi, false) as with_oi,
        $oi is null or success.oi or not ($oi or coalesce(with_oi, false)) as covers
    from success
    left join ever using (instrument_key, interval, continuous)
    left join present using (instrument_key, interval, continuous)
    where success.fetched_at >= coalesce(present.epoch, timestamp '1970-01-01')
),
marked as (
    select
        instrument_key, interval, continuous, first_date, last_date,
        first_date > 1 + max(last_date) over (
            partition by instrument_key, interval, continuous
            order by first_date, last_date
            rows between unbounded preceding and 1 preceding
        ) as begins
    from counted
    where covers and last_date >= first_date
),
numbered as (
    select
        *,
        count(*) filter (where begins) over (
            partition by instrument_key, interval, continuous order by first_date, last_date
            rows between unbounded preceding and current row
        ) as island
    from marked
),
island as (
    select
        instrument_key, interval, continuous,
        min(first_date) as first_date, max(last_date) as last_date
    from numbered
    group by instrument_key, interval, continuous, island
),
islands as (
    select
        instrument_key, interval, continuous,
        list_sort(list(first_date)) as firsts, list_sort(list(last_date)) as lasts
    from island
    group by all
),
told as (
    select
        instrument_key, interval, continuous, max(epoch) as epoch, max(fetched_at) as fetched_at,
        arg_max(stands_at, fetched_at) as stands_at,
        min(first_candle) filter (where covers) as first_session,
        max(last_settled_candle) as last_session, any_value(with_oi) as with_oi
    from counted
    group by instrument_key, interval, continuous
)
select
    instrument_key, interval, continuous, epoch, fetched_at,
    cast(stands_at - interval '2 hours 30 minutes' as date) as period,
    first_session, last_session, with_oi,
    coalesce(firsts, []) as firsts, coalesce(lasts, []) as lasts
from told
left join islands using (instrument_key, interval, continuous)
