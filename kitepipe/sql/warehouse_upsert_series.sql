-- Keeps what is known of one series; an equal row is not written.
-- Writes kite_series. Parameters: instrument_id, interval, first, last, candles, epoch,
-- last_success. One row is one series.
insert into kite_series (
    instrument_id, candle_interval, first_candle, last_candle, candles, epoch, last_success
)
values (
    %(instrument_id)s, %(interval)s, %(first)s, %(last)s, %(candles)s, %(epoch)s,
    %(last_success)s
)
on conflict (instrument_id, candle_interval) do update set
    first_candle = excluded.first_candle,
    last_candle = excluded.last_candle,
    candles = excluded.candles,
    epoch = excluded.epoch,
    last_success = excluded.last_success
where
    (
        kite_series.first_candle, kite_series.last_candle, kite_series.candles,
        kite_series.epoch, kite_series.last_success
    )
    is distinct from (
        excluded.first_candle, excluded.last_candle, excluded.candles,
        excluded.epoch, excluded.last_success
    )
