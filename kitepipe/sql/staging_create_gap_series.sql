-- The staged series with the dates between which candles are to be expected: temp table gap_series.
-- Parameters: $keys, $intervals, $continuous, lists of the series that are wanted; null for all.
-- Reads gap_reply and the dumps. One row a series; first_candle is null where there never was one,
-- end_date is where expectation ends: what is settled, the expiry, or the last candle of what the
-- dump no longer lists.
create or replace temp table gap_series as
with
listing as (
    select instrument_key, expiry, gone
    from instrument
    qualify row_number() over (partition by instrument_key order by snapshot_id desc, gone) = 1
),
present as (
    select instrument_key, interval, continuous, max(epoch) as epoch
    from rebase
    group by all
),
staged as (
    select
        instrument_key, interval, continuous,
        arg_max(exchange, rank) as exchange, arg_max(tradingsymbol, rank) as tradingsymbol,
        min(first_date) as asked_from, max(last_date) as horizon,
        min(first_candle) as first_candle, max(last_settled_candle) as last_candle
    from gap_reply
    group by instrument_key, interval, continuous
)
select
    row_number() over (order by exchange, tradingsymbol, instrument_key, interval) as series_id,
    staged.*,
    coalesce(epoch, timestamp '1970-01-01') as epoch,
    expiry,
    least(
        horizon, expiry,
        if(gone, max(last_candle) over (partition by instrument_key), null)
    ) as end_date,
    count(*) over (partition by instrument_key) > 1 as has_siblings,
    cast($keys as bigint[]) is null
    or (instrument_key, interval, continuous) in (
        select (unnest(cast($keys as bigint[])), unnest(cast($intervals as varchar[])), unnest(cast($continuous as boolean[])))
    ) as wanted
from staged
left join listing using (instrument_key)
left join present using (instrument_key, interval, continuous)
