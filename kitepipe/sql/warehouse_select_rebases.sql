-- What was re-based, oldest first. Reads kite_rebases, kite_instruments.
-- One row is one re-base: exchange, tradingsymbol, interval, epoch, ratio, session.
select i.exchange, i.tradingsymbol, r.candle_interval::text, r.epoch, r.ratio, r.session
from kite_rebases as r
join kite_instruments as i on i.instrument_id = r.instrument_id
order by r.epoch, r.instrument_id, r.candle_interval
