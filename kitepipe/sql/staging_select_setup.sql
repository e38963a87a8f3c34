-- The file's own row: schema version, staging_id, api root, when it was made (UTC). One row.
select schema_version, staging_id, api_root, created_at
from setup
