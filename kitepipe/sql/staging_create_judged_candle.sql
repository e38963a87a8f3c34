-- The judged candles, where it takes more than one look at them.
-- Reads: judgement. Writes: temp table judged_candle. One row: a candle.
create or replace temp table judged_candle as
select * from judgement
