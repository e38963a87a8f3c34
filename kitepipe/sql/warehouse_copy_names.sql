-- A staging file's instrument names into their waiting table, as text.
-- Writes kite_incoming. Input: one line is one name of one instrument.
copy kite_incoming (
    instrument_key, valid_from, valid_to, instrument_token, exchange_token, exchange,
    tradingsymbol, name, instrument_type, segment, expiry, strike, tick_size, lot_size, continuous
) from stdin
