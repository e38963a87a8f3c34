-- Makes this transaction the only one that loads the series, until it ends; others wait here.
-- Reads and writes no table. Parameters: space (the locks of kitepipe's series), series
-- (instrument_id * 8 + the interval's place). One row, empty.
select pg_advisory_xact_lock(%(space)s, %(series)s)
