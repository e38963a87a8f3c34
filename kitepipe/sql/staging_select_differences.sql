-- Each difference between good candles and those of the warehouse, with both sides.
-- Reads: candle_delta, existing (registered by the caller). Parameter: $most.
-- One row: a candle; change is new (missing there), changed or gone (not in staging).
select
    delta.at_us, delta.change,
    delta.open, delta.high, delta.low, delta.close, delta.volume, delta.oi,
    existing.open, existing.high, existing.low, existing.close, existing.volume, existing.oi
from candle_delta as delta
left join existing using (at_us)
where delta.change <> 'equal'
order by delta.at_us
limit $most
