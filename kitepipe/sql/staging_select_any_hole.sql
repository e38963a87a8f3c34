-- Whether anything may be a hole: what seldom trades has none.
-- Reads gap_candidate. At most one row.
select 1
from gap_candidate
where not seldom
limit 1
