-- Tells whether a body is a complete success reply, and what it contains, from its array candles.
-- Reads $body. One row: status, type of the candles, rows, dates (texts, distinct, in order).
-- Each expression parses the body anew, and is still faster than one parse handed on (10 to 22 ms
-- a MB): DuckDB reads JSON at 1 GB/s.
select
    json_extract_string($body, '$.status') as status,
    json_type($body, '$.data.candles') as candles,
    json_array_length($body, '$.data.candles') as rows,
    list_sort(list_distinct(list_transform(
        json_extract_string($body, '$.data.candles[*][0]'), lambda text : text[1:10]
    ))) as dates
