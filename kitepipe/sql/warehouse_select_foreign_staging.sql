-- Whether a database holds candles of other staging files: `demo` fills none of those.
-- Reads kite_load_ledger. Parameter: staging_id.
-- One row: the number of staging files that are not this one.
select count(distinct l.staging_id)
from kite_load_ledger as l
where l.staging_id <> %(staging_id)s
