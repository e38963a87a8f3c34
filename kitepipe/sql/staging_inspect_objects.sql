-- The dates of object candles in a body (the array form is looked at by staging_inspect_body).
-- Reads $body. One row: dates (texts, distinct, in order).
select list_sort(list_distinct(list_transform(
    json_extract_string($body, '$.data.candles[*].date'), lambda text : text[1:10]
))) as dates
