-- How much there is, without counting candles. Reads kite_series, kite_load_ledger,
-- kite_quarantine. One row: series, candles, replies, quarantined candles.
select
    (select count(*) from kite_series) as series,
    (select coalesce(sum(candles), 0)::bigint from kite_series) as candles,
    (select count(*) from kite_load_ledger) as replies,
    (select count(*) from kite_quarantine) as quarantined
