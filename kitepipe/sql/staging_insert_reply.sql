-- Adds the metadata of one reply to `reply`. Parameters are the columns. Writes one row.
insert into reply (
    reply_id, chunk_id, sha256, bytes, http_date, fetched_at, rows,
    first_candle, last_candle, last_settled_candle, settled_through, dates, candles
)
values (
    $reply_id, $chunk_id, $sha256, $bytes, $http_date, $fetched_at, $rows,
    $first_candle, $last_candle, $last_settled_candle, $settled_through, $dates, $candles
)
