-- Instruments that are wanted, listed or not; which, is told by instrument_filter.sql (never name
-- it in a comment: psycopg2 writes parameters into the text, and one may hold a line break).
-- Reads kite_instruments. One row is one instrument: the columns of model.Instrument in order.
-- Continuous series are left out: they bear the names of contracts.
select
    instrument_token, exchange, tradingsymbol, name, instrument_type, segment, expiry, strike,
    exchange_token, tick_size, lot_size
from kite_instruments
where not continuous and {predicate}
order by exchange, tradingsymbol, expiry, strike, instrument_id
