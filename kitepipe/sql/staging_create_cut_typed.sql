-- Cuts a body that is not plain into its candles, whatever it is: half a surrogate pair, JSON to
-- Python but not to DuckDB, is replaced (no good candle needs one), and a body that cannot be
-- read becomes one text, which is no candle and so is quarantined.
-- Parameter: body. Needs: cut_json. Writes: temp macro cut_typed. Gives a list of JSON values.
create or replace temp macro cut_typed(body) as
    coalesce(
        cut_json(body),
        cut_json(regexp_replace(body, '\\u[dD][89a-fA-F][0-9a-fA-F]{2}', '\\ufffd', 'g')),
        [to_json(left(body, 1000))]
    )
