-- Notes when a series was seen re-based; what is known already is not written.
-- Writes kite_rebases. Parameters: the rows. One row is one re-base of one series.
insert into kite_rebases (instrument_id, candle_interval, epoch, ratio, session)
values %s
on conflict (instrument_id, candle_interval, epoch) do nothing
