-- Instants that one reply gave twice: with equal values one candle is taken, otherwise none.
-- Reads: judged_candle. Writes: temp table repeated_candle. One row: an instant.
create or replace temp table repeated_candle as
with repeated as (
    select at_us
    from judged_candle
    where fate = 'kept' and rule is null
    group by at_us
    having count(*) > 1
)
select
    at_us,
    min(position) as position,
    count(distinct (open, high, low, close, volume, oi)) = 1 as equal
from judged_candle
inner join repeated using (at_us)
where fate = 'kept' and rule is null
group by at_us
