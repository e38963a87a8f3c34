-- Notes what the warehouse has of a series, for a staging file that has nothing of it.
-- Parameters are the columns. Writes one row, a run of settled dates.
insert into warehouse_coverage (
    instrument_key, interval, continuous, oi, first_date, last_date, first_candle, last_candle,
    fetched_at, body
)
values (
    $instrument_key, $interval, $continuous, $oi, $first_date, $last_date,
    $first_candle, $last_candle, $fetched_at, $body
)
