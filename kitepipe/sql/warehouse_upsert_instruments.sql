-- Instruments as their newest name says; an older staging file changes nothing, nor an equal one.
-- Reads kite_newest, kite_match. Writes kite_instruments. One row is one instrument.
insert into kite_instruments (
    instrument_id, exchange, tradingsymbol, name, instrument_type, segment, expiry, strike,
    tick_size, lot_size, instrument_token, exchange_token, continuous, named_from
)
select distinct on (m.instrument_id)
    m.instrument_id, n.exchange, n.tradingsymbol, n.name, n.instrument_type, n.segment, n.expiry,
    n.strike, n.tick_size, n.lot_size, n.instrument_token, n.exchange_token, n.continuous,
    n.valid_from
from kite_newest as n
join kite_match as m on m.instrument_key = n.instrument_key
left join kite_instruments as i on i.instrument_id = m.instrument_id
where
    i.instrument_id is null
    or (
        n.valid_from >= i.named_from
        and (
            n.exchange, n.tradingsymbol, n.name, n.instrument_type, n.segment, n.expiry, n.strike,
            n.tick_size, n.lot_size, n.instrument_token, n.exchange_token, n.valid_from
        )
        is distinct from (
            i.exchange, i.tradingsymbol, i.name, i.instrument_type, i.segment, i.expiry, i.strike,
            i.tick_size, i.lot_size, i.instrument_token, i.exchange_token, i.named_from
        )
    )
order by m.instrument_id, n.valid_from desc, n.instrument_key
on conflict (instrument_id) do update set
    exchange = excluded.exchange,
    tradingsymbol = excluded.tradingsymbol,
    name = excluded.name,
    instrument_type = excluded.instrument_type,
    segment = excluded.segment,
    expiry = excluded.expiry,
    strike = excluded.strike,
    tick_size = excluded.tick_size,
    lot_size = excluded.lot_size,
    instrument_token = excluded.instrument_token,
    exchange_token = excluded.exchange_token,
    named_from = excluded.named_from
