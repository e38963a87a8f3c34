-- Names by period; an equal one is not written.
-- Reads kite_merged. Writes kite_instrument_names. One row is one name of one instrument.
insert into kite_instrument_names (
    instrument_id, valid_from, valid_to, exchange, tradingsymbol, instrument_token, exchange_token
)
select
    n.instrument_id, n.valid_from, n.valid_to, n.exchange, n.tradingsymbol, n.instrument_token,
    n.exchange_token
from kite_merged as n
left join kite_instrument_names as w
    on w.instrument_id = n.instrument_id and w.valid_from = n.valid_from
where
    w.instrument_id is null
    or (n.valid_to, n.exchange, n.tradingsymbol, n.instrument_token, n.exchange_token)
    is distinct from (w.valid_to, w.exchange, w.tradingsymbol, w.instrument_token, w.exchange_token)
on conflict (instrument_id, valid_from) do update set
    valid_to = excluded.valid_to,
    exchange = excluded.exchange,
    tradingsymbol = excluded.tradingsymbol,
    instrument_token = excluded.instrument_token,
    exchange_token = excluded.exchange_token
