-- What a dump changed. Parameter: $snapshot_id. One row: rows of the dump, listed, changed, gone,
-- bad rows. A key that only changed its token counts as changed.
with now as (from instrument where snapshot_id = $snapshot_id)
select
    (select rows from snapshot where snapshot_id = $snapshot_id),
    count(*) filter (where not gone and not known),
    count(*) filter (where not gone and known),
    count(*) filter (where gone and not stays),
    (select count(*) from instrument_quarantine where snapshot_id = $snapshot_id)
from (
    select
        gone,
        exists (
            from instrument as before
            where
                before.instrument_key = now.instrument_key
                and before.snapshot_id < $snapshot_id
        ) as known,
        exists (
            from now as other
            where other.instrument_key = now.instrument_key and not other.gone
        ) as stays
    from now
)
