-- What is parsed where every reply is plain. Reads: plain_candle. Writes: temp view parsed_candle.
-- One row: a candle. Planning the typed way too would take 10 ms more for each group of replies.
create or replace temp view parsed_candle as
select * from plain_candle
