-- The file's own row: schema version, staging_id, api root, when it was made (UTC). One row.
-- What later states of this version have added is named, so that a file without it is refused.
select schema_version, staging_id, api_root, created_at
from setup
where
    not exists (select dates, candles from reply where false)
    and not exists (select first_candle from warehouse_coverage where false)
    and not exists (select ratio, session from rebase where false)
    and not exists (from named_loss where false)
