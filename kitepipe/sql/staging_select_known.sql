-- What is known of every series in its present epoch: the settled dates, as islands.
-- Parameter: $oi; where true only replies that were asked with oi cover anything. The price base
-- is told by all: what is asked again for its oi may have been re-based meanwhile.
-- One row a series: instrument_key, interval, continuous, epoch, fetched_at of the newest reply and
-- its clocks (http_date, asked_at; all UTC), first date with a candle, last settled date with one,
-- and the islands as two lists (first and last dates).
with
present as (
    select instrument_key, interval, continuous, max(epoch) as epoch
    from rebase
    group by all
),
success as (
    select
        instrument_key, interval, continuous, oi,
        fetched_at, {'http_date': http_date, 'asked_at': asked_at} as clocks, last_settled_candle,
        first_candle, first_date, least(last_date, settled_through) as last_date
    from reply
    inner join chunk using (chunk_id)
    union all
    select
        instrument_key, interval, continuous, oi,
        fetched_at, {'http_date': fetched_at, 'asked_at': fetched_at}, last_candle,
        first_candle, first_date, last_date
    from warehouse_coverage
),
counted as (
    select
        success.*, coalesce(present.epoch, timestamp '1970-01-01') as epoch,
        success.oi or not $oi as covers
    from success
    left join present using (instrument_key, interval, continuous)
    where success.fetched_at >= coalesce(present.epoch, timestamp '1970-01-01')
),
marked as (
    select
        *,
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
        list(first_date order by first_date) as firsts,
        list(last_date order by first_date) as lasts
    from island
    group by all
)
select
    instrument_key, interval, continuous,
    max(epoch), max(fetched_at), arg_max(clocks, fetched_at),
    min(first_candle) filter (where covers), max(last_settled_candle),
    any_value(coalesce(firsts, [])), any_value(coalesce(lasts, []))
from counted
left join islands using (instrument_key, interval, continuous)
group by instrument_key, interval, continuous
