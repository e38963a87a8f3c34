-- Which columns of the schema are not there, in tables that are. Reads the catalogs.
-- Parameters: tables and columns, two lists of one length. One row is one missing column.
select wanted.in_table || '.' || wanted.name
from unnest(%(tables)s::text [], %(columns)s::text []) as wanted (in_table, name)
where
    to_regclass(wanted.in_table) is not null
    and not exists (
        select
        from pg_catalog.pg_attribute as a
        where
            a.attrelid = to_regclass(wanted.in_table)
            and a.attname = wanted.name
            and not a.attisdropped
    )
order by 1
