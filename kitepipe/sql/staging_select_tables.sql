-- The tables of the staging file in the order to copy them, a user's own too, and whether each holds
-- bodies: replies come first, for they prove bodies. One row a table, its name as a statement has it.
select
    format('"{}"."{}"', replace(schema_name, '"', '""'), replace(table_name, '"', '""')) as name,
    schema_name = 'main' and table_name in ('body_open', 'body_sealed') as holds_bodies
from duckdb_tables()
where database_name = 'staging'
order by holds_bodies, schema_name, table_name
