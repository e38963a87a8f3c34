-- Whether TimescaleDB was created in this database. Reads the catalog. One row, or none.
select extversion
from pg_extension
where extname = 'timescaledb'
