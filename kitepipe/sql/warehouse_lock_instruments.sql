-- Makes this transaction the only one that gives instruments their ids; others wait here.
-- Reads and writes no table. Parameters: lock. One row, empty.
select pg_advisory_xact_lock(%(lock)s)
