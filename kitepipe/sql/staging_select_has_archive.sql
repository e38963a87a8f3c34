-- A row where the attached database `source` has archived anything, none where it has not.
select table_name
from duckdb_tables()
where database_name = 'source' and table_name = 'archived_body'
