-- Candles of plain replies as staging_plain.py read them, each number the double that Python's
-- float() gives. Their form is proven, and their calendar.
-- Reads: wanted_reply, plain_column (reply_id, position, ist_us, open, high, low, close, volume, oi;
-- registered by the caller). Writes: temp view plain_candle.
-- One row: a candle, with what wanted_reply says of its reply; position counts from 0 in it, ist is
-- its wall clock in India, rule is null or the rule that it breaks.
create or replace temp view plain_candle as
select
    wanted_reply.*,
    position,
    make_timestamp(ist_us) as ist,
    open,
    high,
    low,
    close,
    volume,
    oi,
    false as volume_overflows,
    false as oi_overflows,
    cast(null as varchar) as rule
from plain_column
inner join wanted_reply using (reply_id)
