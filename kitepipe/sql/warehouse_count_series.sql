-- Counts a series' candles within spans of time, what lies between them aside.
-- Reads kite_ohlcv_historic. Parameters: instrument_id, interval, starts and ends (instants, side
-- by side, the first -infinity and the last infinity where nothing is left aside).
-- One row; an infinite date (nothing of ours) is left out.
select coalesce(sum(totals.candles), 0)::bigint as candles
from unnest(%(starts)s::timestamptz [], %(ends)s::timestamptz []) as span (start, finish)
cross join lateral (
    select count(*) as candles
    from kite_ohlcv_historic as h
    where
        h.instrument_id = %(instrument_id)s
        and h.candle_interval = %(interval)s
        and h.date >= span.start
        and h.date < span.finish
        and isfinite(h.date)
) as totals
