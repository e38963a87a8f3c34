-- Whether a key has names of a continuous series and others: two instruments under one key.
-- Reads kite_incoming. One row where it is so, none where not.
select instrument_key
from kite_incoming
group by instrument_key
having bool_and(continuous) <> bool_or(continuous)
limit 1
