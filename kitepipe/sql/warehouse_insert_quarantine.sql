-- Keeps candles that broke a rule; one that is known already is not written.
-- Writes kite_quarantine. Parameters: the rows. One row is one candle.
insert into kite_quarantine (staging_id, reply_id, position, rule, raw, trade_date)
values %s
on conflict (staging_id, reply_id, position, rule) do nothing
