-- Reads the rows of Kite's instruments CSV at $path, without its header, into the temp table
-- dump_text: all columns as text.
-- Parameters: $path, $columns (the names in the header, each with the type varchar).
-- Rows that are no CSV of these columns go to the temp table reject_errors.
-- The options are all named: the sniffer takes rows that begin with # for comments. Materialised,
-- because try_cast straight over read_csv raises (DuckDB 2.0).
create or replace temp table dump_text as
select
    instrument_token, exchange_token, tradingsymbol, name, last_price, expiry, strike, tick_size,
    lot_size, instrument_type, segment, exchange
from read_csv(
    $path,
    auto_detect = false, header = false, delim = ',', quote = '"', escape = '"', comment = '',
    null_padding = true, store_rejects = true, parallel = false, max_line_size = 1048576,
    columns = $columns
)
