-- How many candles each reply changes in the warehouse.
-- Reads: picked, candle_delta. One row: a picked reply, also one that decides nothing.
select
    picked.reply_id,
    count(*) filter (where change = 'new') as new,
    count(*) filter (where change = 'changed') as changed,
    count(*) filter (where change = 'gone') as gone,
    count(*) filter (where change = 'equal') as equal
from picked
left join candle_delta on picked.reply_id = candle_delta.reply_id
group by picked.reply_id
order by picked.reply_id
