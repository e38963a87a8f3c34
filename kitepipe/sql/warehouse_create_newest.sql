-- Each key's newest name, and with it what the instrument is today.
-- Reads kite_incoming. Writes temp table kite_newest. One row is one instrument of staging.
create temp table kite_newest on commit drop as
select distinct on (instrument_key)
    instrument_key, valid_from, instrument_token, exchange_token, exchange, tradingsymbol, name,
    instrument_type, segment, expiry, strike, tick_size, lot_size, continuous
from kite_incoming
order by instrument_key, valid_from desc, valid_to desc nulls first, tradingsymbol
