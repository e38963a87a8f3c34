-- Sets the session: instants are read in UTC, and a re-based history may rewrite columnstore.
-- (Its limit is 100,000 tuples in one transaction; 0 is none. Without TimescaleDB: no setting.)
-- No compiling: plans over many hypertable chunks or temp tables look dear and are not (merging no
-- names at all: 0.6 s of compiling, 3 ms of work).
-- No parallel workers: for each of a replay's checksums, 20 ms, two processes would begin and end.
-- Reads and writes no table. One row.
select
    set_config('timezone', 'UTC', false),
    set_config('jit', 'off', false),
    set_config('max_parallel_workers_per_gather', '0', false),
    case
        when
            current_setting('timescaledb.max_tuples_decompressed_per_dml_transaction', true)
            is not null
            then
                set_config(
                    'timescaledb.max_tuples_decompressed_per_dml_transaction', '0', false
                )
    end
