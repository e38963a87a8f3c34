-- First and last candle of a series, each by one step into the key.
-- Reads kite_ohlcv_historic. Parameters: instrument_id, interval.
-- One row; both null where there is no candle.
select
    (
        select date
        from kite_ohlcv_historic
        where
            instrument_id = %(instrument_id)s
            and candle_interval = %(interval)s
            and date > '-infinity'
        order by date
        limit 1
    ) as first_candle,
    (
        select date
        from kite_ohlcv_historic
        where
            instrument_id = %(instrument_id)s
            and candle_interval = %(interval)s
            and date < 'infinity'
        order by date desc
        limit 1
    ) as last_candle
