-- What is known of some instruments, or of all. Reads the temp table known.
-- Parameter: $keys (instrument_key; null: all).
-- One row a series, in the columns of staging_create_known.sql.
select
    instrument_key, interval, continuous, epoch, fetched_at, period,
    first_session, last_session, with_oi, firsts, lasts
from known
where $keys is null or instrument_key in (select unnest(cast($keys as bigint [])))
