-- How many candles each reply changes in the warehouse.
-- Reads: wanted_reply, candle_delta. One row: a wanted reply, also one that decides nothing.
select
    wanted_reply.reply_id,
    count(*) filter (where change = 'new') as new,
    count(*) filter (where change = 'changed') as changed,
    count(*) filter (where change = 'gone') as gone,
    count(*) filter (where change = 'equal') as equal
from wanted_reply
left join candle_delta on wanted_reply.reply_id = candle_delta.reply_id
group by wanted_reply.reply_id
order by wanted_reply.reply_id
