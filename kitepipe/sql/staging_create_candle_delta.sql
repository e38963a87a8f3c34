-- Good candles against those of the warehouse, on the dates that these replies decide.
-- Reads: candle, segment, existing (at_us, open, high, low, close, volume, oi; registered by the
-- caller, may reach beyond the segments). Writes: temp table candle_delta. One row: an instant;
-- change is new, changed, gone or equal, reply_id the reply that decides; a gone one has no values.
create or replace temp table candle_delta as
with span as (
    select
        reply_id,
        epoch_us(cast(first as timestamp)) - 19800000000 as first_us,
        epoch_us(cast(last + 1 as timestamp)) - 19800000000 as end_us
    from segment
),
stored as (
    select
        span.reply_id,
        existing.*
    from existing
    asof inner join span on existing.at_us >= span.first_us
    where existing.at_us < span.end_us
)
select
    coalesce(candle.reply_id, stored.reply_id) as reply_id,
    coalesce(candle.at_us, stored.at_us) as at_us,
    candle.open,
    candle.high,
    candle.low,
    candle.close,
    candle.volume,
    candle.oi,
    case
        when stored.at_us is null then 'new'
        when candle.at_us is null then 'gone'
        when
            candle.open is distinct from stored.open
            or candle.high is distinct from stored.high
            or candle.low is distinct from stored.low
            or candle.close is distinct from stored.close
            or candle.volume is distinct from stored.volume
            or candle.oi is distinct from stored.oi
            then 'changed'
        else 'equal'
    end as change
from candle
full join stored on candle.at_us = stored.at_us
