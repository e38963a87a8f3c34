-- Which tables of the schema are not there. Reads the catalogs.
-- Parameters: names. One row is one missing name.
select name
from unnest(%(names)s::text []) as wanted (name)
where to_regclass(name) is null
order by name
