-- Holds the setup row until the transaction ends, and tells whether anything was ever loaded.
-- Reads kite_setup, kite_load_ledger, kite_ohlcv_historic. One row: as_of, source,
-- and true where empty.
select
    as_of,
    source,
    not exists (select from kite_load_ledger) and not exists (select from kite_ohlcv_historic)
    as is_empty
from kite_setup
for update
