-- Cuts a plain body (see plain_reply) at its commas into the texts of its candles, without their
-- brackets: where the form is proven to the last byte, no JSON parser is needed.
-- Parameter: body. Writes: temp macro cut_plain. Gives a list of texts.
-- One core, 16 replies of 15,400 candles: cut so, down to the cells, 39 ms; from_json to strings
-- 150 ms; a cast of the text to varchar[][] 294 ms.
create or replace temp macro cut_plain(body) as
    -- What is left between `{"status":"success","data":{"candles":[[` and `]]}}`.
    string_split(substring(body, 41, length(body) - 44), '],[')
