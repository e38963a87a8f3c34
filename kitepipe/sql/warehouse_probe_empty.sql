-- Whether nothing was ever loaded. Reads kite_load_ledger, kite_ohlcv_historic.
-- One row: true where both are empty.
select
    not exists (select from kite_load_ledger) and not exists (select from kite_ohlcv_historic)
    as is_empty
