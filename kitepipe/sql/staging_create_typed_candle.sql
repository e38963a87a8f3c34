-- Candles of all other replies, arrays or objects, by the type of each JSON value: here a number
-- in quotes, a boolean or a fractional volume is seen for what it is.
-- Reads: picked, plain_reply. Needs: cut_typed. Writes: temp view typed_candle.
-- One row: a candle, as in plain_candle; rule is the first broken one of those that concern form
-- and type. One core, 16 replies of 15,400 candles: 0.3 M a second.
create or replace temp view typed_candle as
with reply as (
    select
        reply_id,
        cut_typed(body) as candles
    from picked
    where reply_id not in (select reply_id from plain_reply)
),
candle as (
    select
        reply_id,
        generate_subscripts(candles, 1) - 1 as position,
        unnest(candles) as candle
    from reply
),
formed as (
    select
        reply_id,
        position,
        candle,
        case
            when json_type(candle) = 'OBJECT' then 'object'
            when json_type(candle) = 'ARRAY' and json_array_length(candle) <= 7 then 'array'
        end as form
    from candle
),
opened as (
    select
        reply_id,
        position,
        form is null as malformed,
        case form
            when 'array' then json_type(
                candle, ['$[0]', '$[1]', '$[2]', '$[3]', '$[4]', '$[5]', '$[6]']
            )
            when 'object' then json_type(
                candle,
                [
                    '$.date', '$.open', '$.high', '$.low', '$.close', '$.volume', '$.oi',
                    '$.timestamp'
                ]
            )
        end as kind,
        case form
            when 'array' then json_extract_string(
                candle, ['$[0]', '$[1]', '$[2]', '$[3]', '$[4]', '$[5]', '$[6]']
            )
            when 'object' then json_extract_string(
                candle,
                [
                    '$.date', '$.open', '$.high', '$.low', '$.close', '$.volume', '$.oi',
                    '$.timestamp'
                ]
            )
        end as text
    from formed
),
named as (
    select
        reply_id,
        position,
        malformed,
        -- The eighth is the other name that an object may give its date; no array has it.
        case when kind[1] <> 'NULL' then kind[1] else kind[8] end as date_kind,
        case when kind[1] <> 'NULL' then text[1] else text[8] end as date_text,
        kind[2:7] as kind,
        text[2:7] as text,
        list_transform(text[2:7], lambda x: try_cast(x as double)) as value
    from opened
),
timed as (
    select
        *,
        regexp_extract(
            case when date_kind = 'VARCHAR' then date_text end,
            '^((?:19|20)\d\d-\d\d-\d\d[T ](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d)'
            || '(Z|([+-](?:[01]\d|2[0-3])):?([0-5]\d))?$',
            ['wall_clock', 'zone', 'hours', 'minutes']
        ) as part
    from named
),
judged as (
    select
        *,
        try_cast(part.wall_clock as timestamp) as wall_clock,
        case
            when malformed then 'malformed'
            when
                coalesce(date_kind, 'NULL') = 'NULL'
                or len(list_filter(kind[1:5], lambda x: x <> 'NULL')) < 5
                then 'missing_field'
            when try_cast(part.wall_clock as timestamp) is null then 'bad_date'
            when part.zone = '' then 'date_without_offset'
            when
                -- A case of its own, because `and` would try every text of every candle.
                case when list_contains(kind, 'VARCHAR') then len(list_filter(
                    list_zip(kind, text),
                    lambda x: x[1] = 'VARCHAR' and regexp_full_match(
                        x[2], '[ \t\r\n]*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?[ \t\r\n]*'
                    )
                )) > 0 end
                then 'number_as_string'
            when
                list_has_any(kind, ['VARCHAR', 'BOOLEAN', 'ARRAY', 'OBJECT'])
                or len(list_filter(value, lambda x: not isfinite(x))) > 0
                then 'not_a_number'
            when value[5] <> floor(value[5]) then 'fractional_volume'
            when value[6] <> floor(value[6]) then 'fractional_oi'
        end as rule
    from timed
),
counted as (
    select
        *,
        -- From its digits where it is whole: as a double, 2^63 - 1 would be 2^63.
        case
            when kind[5] <> 'DOUBLE' then try_cast(text[5] as bigint)
            when value[5] < 0 then try_cast(greatest(value[5], -9223372036854775808) as bigint)
            else try_cast(value[5] as bigint)
        end as volume,
        case
            when kind[6] <> 'DOUBLE' then try_cast(text[6] as bigint)
            when value[6] < 0 then try_cast(greatest(value[6], -9223372036854775808) as bigint)
            else try_cast(value[6] as bigint)
        end as oi
    from judged
)
select
    reply_id,
    position,
    case
        when part.zone = 'Z' then wall_clock + to_minutes(330)
        -- The sign stands before the hours and holds for the minutes, too: -03:30.
        else wall_clock + to_minutes(
            330 - try_cast(part.hours as integer) * 60
            - try_cast(part.hours[1] || part.minutes as integer)
        )
    end as ist,
    value[1] as open,
    value[2] as high,
    value[3] as low,
    value[4] as close,
    volume,
    oi,
    value[5] is not null and volume is null as volume_overflows,
    value[6] is not null and oi is null as oi_overflows,
    rule
from counted
