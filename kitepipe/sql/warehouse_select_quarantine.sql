-- The candles in quarantine that no newer reply has healed, newest reply first.
-- Reads kite_quarantine, kite_load_ledger, kite_instruments. One row is one candle: its instrument,
-- interval, IST date, rule, reply and place in it, when that was fetched, when it was quarantined,
-- raw text.
select
    i.exchange || ':' || i.tradingsymbol as instrument,
    l.candle_interval::text as candle_interval,
    q.trade_date, q.rule, q.staging_id, q.reply_id, q.position, l.fetched_at, q.quarantined_at,
    q.raw
from kite_quarantine as q
join kite_load_ledger as l on l.staging_id = q.staging_id and l.reply_id = q.reply_id
join kite_instruments as i on i.instrument_id = l.instrument_id
order by l.fetched_at desc, q.staging_id, q.reply_id desc, q.position, q.rule
