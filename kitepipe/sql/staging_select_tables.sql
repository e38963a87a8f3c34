-- The tables of the attached database `source` in the order to copy them, and whether each holds
-- bodies: replies come first, for they prove bodies. One row a table.
select table_name, table_name in ('body_open', 'body_sealed') as holds_bodies
from duckdb_tables()
where database_name = 'source'
order by holds_bodies, table_name
