-- The tables for sealed bodies (body_<n>), and whether each is vacant. One row a table: its number,
-- is_vacant; in order.
select number, number not in (select body_table from seal) as is_vacant
from (
    select cast(substr(table_name, 6) as bigint) as number
    from duckdb_tables()
    where database_name = current_database() and regexp_full_match(table_name, 'body_\d+')
)
order by number
