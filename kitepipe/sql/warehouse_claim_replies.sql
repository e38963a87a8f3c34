-- Claims ledger rows before the candles that carry their batch_id.
-- Writes kite_load_ledger: new rows, and known ones whose settled dates or epoch are others now.
-- One row is a reply that was written; fresh: it was not known (xmax is then 0).
insert into kite_load_ledger (
    staging_id, reply_id, instrument_id, candle_interval, sha256, window_first, window_last,
    fetched_at, epoch, first_date, last_date
)
values %s
on conflict (staging_id, reply_id) do update set
    epoch = excluded.epoch,
    first_date = excluded.first_date,
    last_date = excluded.last_date,
    loaded_at = now()
where
    (kite_load_ledger.epoch, kite_load_ledger.first_date, kite_load_ledger.last_date)
    is distinct from (excluded.epoch, excluded.first_date, excluded.last_date)
returning staging_id, reply_id, xmax = 0 as fresh
