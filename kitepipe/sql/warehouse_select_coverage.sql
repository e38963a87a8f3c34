-- What this warehouse covers, for series of which a staging file has nothing yet.
-- Reads kite_series, kite_instruments, kite_load_ledger. One row is one series: its instrument
-- (the columns of model.Instrument in order), first and last candle, the IST date of the last, and
-- the dates that replies of its epoch settled, as two arrays (first and last dates of islands).
with covered as (
    select
        l.instrument_id,
        l.candle_interval,
        range_agg(daterange(l.first_date, l.last_date, '[]')) as dates
    from kite_load_ledger as l
    join kite_series as s
        on s.instrument_id = l.instrument_id and s.candle_interval = l.candle_interval
    where l.first_date <= l.last_date and l.fetched_at >= s.epoch
    group by l.instrument_id, l.candle_interval
)
select
    s.instrument_id, i.continuous, s.candle_interval, s.epoch, s.last_success, s.first_candle,
    s.last_candle, (s.last_candle at time zone 'Asia/Kolkata')::date as last_session,
    array(select lower(r) from unnest(c.dates) as r order by 1) as firsts,
    array(select upper(r) - 1 from unnest(c.dates) as r order by 1) as lasts,
    i.instrument_token, i.exchange, i.tradingsymbol, i.name, i.instrument_type, i.segment,
    i.expiry, i.strike, i.exchange_token, i.tick_size, i.lot_size
from kite_series as s
join kite_instruments as i on i.instrument_id = s.instrument_id
left join covered as c
    on c.instrument_id = s.instrument_id and c.candle_interval = s.candle_interval
order by s.instrument_id, s.candle_interval
