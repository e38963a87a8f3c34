-- The quarantined candles in the order of their replies.
-- Reads: quarantine. One row: a candle, the first rule that it breaks, and its text.
select
    reply_id,
    position,
    rule,
    raw
from quarantine
order by reply_id, position
