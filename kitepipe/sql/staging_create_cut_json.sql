-- Cuts a body into its candles by the JSON parser; null where it cannot be read or holds no list.
-- Parameter: body. Writes: temp macro cut_json. Gives a list of JSON values.
create or replace temp macro cut_json(body) as
    case
        when json_type(try_cast(body as json), '$.data.candles') = 'ARRAY'
            then json_extract(try_cast(body as json), '$.data.candles[*]')
    end
