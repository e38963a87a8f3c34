-- Makes a table for sealed bodies; {table} is body_<n>, made by the writer from a number.
-- zstd: 0.26 of the raw bytes.
create table {table} (reply_id bigint not null, body varchar not null using compression zstd)
