-- The instrument_id of each key that is asked for. Reads kite_match. Parameter: keys (null: all).
-- One row is one key of staging.
select instrument_key, instrument_id
from kite_match
where %(keys)s::bigint [] is null or instrument_key = any(%(keys)s::bigint [])
