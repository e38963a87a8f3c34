-- What is parsed where some reply is not plain. Reads: plain_candle, typed_candle, wanted_reply.
-- Writes: temp view parsed_candle. One row: a candle, with what wanted_reply says of its reply.
create or replace temp view parsed_candle as
select * from plain_candle
union all by name
select typed_candle.*, wanted_reply.* exclude (reply_id)
from typed_candle
inner join wanted_reply on typed_candle.reply_id = wanted_reply.reply_id
