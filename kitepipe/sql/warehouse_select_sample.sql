-- The newest candles of one instrument, a few of each interval: what `demo` shows at its end.
-- Reads kite_ohlcv. Parameters: tradingsymbol, rows (of each interval).
-- One row is one candle: symbol, interval, its open in Indian time as text, prices, volume.
select
    newest.tradingsymbol,
    newest.candle_interval::text,
    to_char(newest.date at time zone 'Asia/Kolkata', 'YYYY-MM-DD HH24:MI') as opened,
    newest.open,
    newest.high,
    newest.low,
    newest.close,
    newest.volume
from (
    select
        c.*,
        row_number() over (partition by c.candle_interval order by c.date desc) as age
    from kite_ohlcv as c
    where c.tradingsymbol = %(tradingsymbol)s
) as newest
where newest.age <= %(rows)s
order by newest.candle_interval, newest.date
