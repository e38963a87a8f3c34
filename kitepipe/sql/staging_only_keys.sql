-- Only the names of `keys`, of all that their tokens have seen.
and instrument_key in (select unnest($keys::bigint []))
