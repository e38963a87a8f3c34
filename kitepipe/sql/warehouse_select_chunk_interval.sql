-- How long new hypertable chunks will be. Reads TimescaleDB's views. Parameters: schema, table. One
-- row.
select time_interval
from timescaledb_information.dimensions
where hypertable_schema = %(schema)s and hypertable_name = %(table)s and dimension_number = 1
