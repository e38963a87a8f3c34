-- The names of the continuous futures that were asked, or are about to be ($also, their keys), in
-- the columns of staging_select_names.sql. Such a future has no token and no lot of its own (0).
-- One row a future.
select
    instrument_key,
    cast(since + interval '5 hours 30 minutes' - interval '8 hours 30 minutes' as date),
    cast(null as date), 0, 0, exchange, name || '-CONT', name, 'FUT', segment,
    cast(null as date), cast(0 as double), cast(0 as double), 0, true
from continuous_future
where
    instrument_key in (select chunk.instrument_key from chunk where chunk.continuous)
    or list_contains($also, instrument_key)
order by instrument_key
