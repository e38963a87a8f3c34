-- Adds one asked window to `chunk`; $error is null where a reply came. Writes one row.
insert into chunk (
    chunk_id, instrument_key, instrument_token, exchange, tradingsymbol, snapshot_id, interval,
    first_date, last_date, oi, continuous, epoch, asked_at, attempts, error
)
values (
    $chunk_id, $instrument_key, $instrument_token, $exchange, $tradingsymbol, $snapshot_id,
    $interval, $first_date, $last_date, $oi, $continuous, $epoch, $asked_at, $attempts, $error
)
