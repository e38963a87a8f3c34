-- The newest snapshot of each scope. One row a scope: snapshot_id, taken_at (UTC), exchange.
select snapshot_id, taken_at, exchange
from snapshot
qualify row_number() over (partition by exchange order by snapshot_id desc) = 1
