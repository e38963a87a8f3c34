-- What staging holds of each interval. One row an interval: interval, series, replies, candles,
-- bytes of the bodies, dates of the earliest and the latest candle.
select
    interval,
    count(distinct (instrument_key, continuous)),
    count(*),
    cast(sum(rows) as bigint),
    cast(sum(bytes) as bigint),
    min(first_candle),
    max(last_candle)
from reply
inner join chunk using (chunk_id)
where interval <> 'probe'
group by interval
order by interval
