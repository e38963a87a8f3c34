-- Adds the changes found by staging_match_instruments to `instrument`.
-- Parameter: $snapshot_id. Writes one row a change.
insert into instrument (
    snapshot_id, instrument_key, instrument_token, exchange_token, exchange, tradingsymbol, name,
    instrument_type, segment, expiry, strike, tick_size, lot_size, gone
)
select
    $snapshot_id, instrument_key, instrument_token, exchange_token, exchange, tradingsymbol, name,
    instrument_type, segment, expiry, strike, tick_size, lot_size, false
from dump_change
