-- What is parsed where some reply is not plain. Reads: plain_candle, typed_candle, picked.
-- Writes: temp view parsed_candle. One row: a candle, with what picked says of its reply.
create or replace temp view parsed_candle as
select * from plain_candle
union all by name
select typed_candle.*, picked.* exclude (reply_id, body)
from typed_candle
inner join picked on typed_candle.reply_id = picked.reply_id
