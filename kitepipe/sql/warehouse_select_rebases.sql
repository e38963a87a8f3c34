-- What was re-based, oldest first. Reads kite_rebases, kite_instruments, kite_series.
-- One row is one re-base: exchange, tradingsymbol, interval, epoch, ratio, session, and
-- whether the table stands on that base or a later one.
select i.exchange, i.tradingsymbol, r.candle_interval::text, r.epoch, r.ratio, r.session,
    coalesce(r.epoch <= s.epoch, false)
from kite_rebases as r
join kite_instruments as i on i.instrument_id = r.instrument_id
left join kite_series as s
    on s.instrument_id = r.instrument_id and s.candle_interval = r.candle_interval
order by r.epoch, r.instrument_id, r.candle_interval
