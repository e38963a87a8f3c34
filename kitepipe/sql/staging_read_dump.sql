-- Reads Kite's instruments CSV at $path into the temp table dump_text: all columns as text.
-- The options are all named: the sniffer takes rows that begin with # for comments. Materialised,
-- because try_cast straight over read_csv raises (DuckDB 2.0).
create or replace temp table dump_text as
select *
from read_csv(
    $path,
    auto_detect = false, header = true, delim = ',', quote = '"', escape = '"', comment = '',
    null_padding = true, ignore_errors = true, store_rejects = false, parallel = false,
    max_line_size = 1048576,
    columns = {
        'instrument_token': 'varchar', 'exchange_token': 'varchar', 'tradingsymbol': 'varchar',
        'name': 'varchar', 'last_price': 'varchar', 'expiry': 'varchar', 'strike': 'varchar',
        'tick_size': 'varchar', 'lot_size': 'varchar', 'instrument_type': 'varchar',
        'segment': 'varchar', 'exchange': 'varchar'
    }
)
