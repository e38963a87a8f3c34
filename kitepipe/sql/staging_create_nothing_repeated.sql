-- As staging_create_repeated_candle.sql, before anybody has looked for repetitions: none.
-- Writes: temp table repeated_candle, empty.
create or replace temp table repeated_candle (at_us bigint, position bigint, equal boolean)
