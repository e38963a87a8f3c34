-- What the server is. Reads the catalogs only, so that it works before the schema is there.
-- One row: PostgreSQL's version, TimescaleDB's version in this database (null: none) and licence,
-- and whether one could be created.
select
    current_setting('server_version') as postgresql,
    current_setting('server_version_num')::integer as version_number,
    (select extversion from pg_extension where extname = 'timescaledb') as timescaledb,
    current_setting('timescaledb.license', true) as license,
    exists (select from pg_available_extensions where name = 'timescaledb') as available,
    to_regclass('kite_ohlcv_historic') is not null as has_table
