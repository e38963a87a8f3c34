-- When series were seen re-based. Parameter: $as_of (UTC), or null for all.
-- One row a rebase: instrument_key, interval, continuous, epoch (UTC), ratio, session.
select instrument_key, interval, continuous, epoch, ratio, session
from rebase
where $as_of is null or epoch <= $as_of
order by epoch
