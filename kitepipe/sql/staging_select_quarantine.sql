-- The quarantined candles in the order of their replies.
-- Reads: quarantine. One row: a candle, the first rule that it breaks, its text, and its IST date
-- (null: unknown, or outside the window).
select
    reply_id,
    position,
    rule,
    raw,
    trade_date
from quarantine
order by reply_id, position
