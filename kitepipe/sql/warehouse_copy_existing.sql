-- A page of a series' candles, by date, after (or from) an instant and up to another.
-- Reads kite_ohlcv_historic. Parameters: instrument_id, interval, first, last, rows.
-- One row is one candle in binary, all of one width: oi is split into a number and a flag.
copy (
    select date, open, high, low, close, volume, coalesce(oi, 0), oi is null
    from kite_ohlcv_historic
    where
        instrument_id = %(instrument_id)s
        and candle_interval = %(interval)s
        and date between %(first)s and %(last)s
    order by date
    limit %(rows)s
) to stdout (format binary)
