-- Series with candles of which no staging file was ever loaded, apart from those named here.
-- Reads kite_ohlcv_historic, kite_load_ledger, kite_instruments.
-- Parameters: ids and intervals, side by side. One row is one series, in order: what it is called,
-- interval, first and last IST date, number of candles.
-- It steps from one series to the next along the key, so that only these series' candles are read.
with recursive series as (
    (
        select
            h.instrument_id,
            h.candle_interval
        from kite_ohlcv_historic as h
        order by h.instrument_id, h.candle_interval
        limit 1
    )
    union all
    select
        next_one.instrument_id,
        next_one.candle_interval
    from series as s
    cross join lateral (
        select
            h.instrument_id,
            h.candle_interval
        from kite_ohlcv_historic as h
        where (h.instrument_id, h.candle_interval) > (s.instrument_id, s.candle_interval)
        order by h.instrument_id, h.candle_interval
        limit 1
    ) as next_one
),

named as (
    select
        u.instrument_id,
        u.candle_interval
    from unnest(%(ids)s::integer [], %(intervals)s::kite_candle_interval [])
        as u (instrument_id, candle_interval)
)

select
    coalesce(i.exchange || ':' || i.tradingsymbol, 'instrument ' || s.instrument_id) as name,
    s.candle_interval,
    totals.first_date,
    totals.last_date,
    totals.candles
from series as s
left join kite_instruments as i on i.instrument_id = s.instrument_id
cross join lateral (
    select
        (min(h.date) at time zone 'Asia/Kolkata')::date as first_date,
        (max(h.date) at time zone 'Asia/Kolkata')::date as last_date,
        count(*) as candles
    from kite_ohlcv_historic as h
    where h.instrument_id = s.instrument_id and h.candle_interval = s.candle_interval
) as totals
where
    (s.instrument_id, s.candle_interval) not in (
        select
            n.instrument_id,
            n.candle_interval
        from named as n
    )
    and not exists (
        select
        from kite_load_ledger as l
        where l.instrument_id = s.instrument_id and l.candle_interval = s.candle_interval
    )
order by s.instrument_id, s.candle_interval
