-- When a series was seen re-based, whether the warehouse stands on that base already or not.
-- Reads kite_rebases. Parameters: instrument_id, interval. One row is one epoch.
select epoch
from kite_rebases
where instrument_id = %(instrument_id)s
    and candle_interval = %(interval)s::kite_candle_interval
