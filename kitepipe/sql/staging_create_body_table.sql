-- Makes a table for sealed bodies (body_<n>; the writer makes the name from a number).
-- zstd: 0.26 of the raw bytes.
create table {table} (reply_id bigint, body varchar using compression zstd)
