-- The replies of one series of which candles are in quarantine.
-- Reads kite_quarantine, kite_load_ledger. Parameters: instrument_id, interval. One row is one
-- reply: its key, fetched_at, the first date that was asked, and whether it settled any date.
select l.staging_id, l.reply_id, l.fetched_at, l.window_first, l.first_date is not null as settles
from kite_load_ledger as l
where
    l.instrument_id = %(instrument_id)s
    and l.candle_interval = %(interval)s
    and l.candles_quarantined > 0
