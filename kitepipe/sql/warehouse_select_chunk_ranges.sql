-- What the hypertable chunks hold that touch a span of time. Reads TimescaleDB's views.
-- Parameters: schema, table, first, last (instants; last is exclusive). One row is one chunk, in
-- order of time.
select range_start, range_end
from timescaledb_information.chunks
where
    hypertable_schema = %(schema)s
    and hypertable_name = %(table)s
    and range_end > %(first)s
    and range_start < %(last)s
order by range_start
