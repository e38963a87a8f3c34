-- The instrument_id of each key. Reads kite_match. One row is one key of staging.
select instrument_key, instrument_id from kite_match
