-- Candles of all other replies, arrays or objects, by the type of each JSON value: here a number
-- in quotes, a boolean or a fractional volume is seen for what it is.
-- Reads: cut_reply. Writes: temp view typed_candle. One row: a candle, as in plain_candle; rule is
-- the first broken one of those that concern form and types, values are null where it is set.
create or replace temp view typed_candle as
with candle as (
    select
        reply_id,
        generate_subscripts(candles, 1) - 1 as position,
        cast(unnest(candles) as json) as candle
    from cut_reply
    where not plain
),
shaped as (
    select
        reply_id,
        position,
        case
            when json_type(candle) = 'ARRAY' and json_array_length(candle) <= 7
                then json_extract(
                    candle, ['$[0]', '$[1]', '$[2]', '$[3]', '$[4]', '$[5]', '$[6]']
                )
            when json_type(candle) = 'OBJECT'
                then json_extract(
                    candle,
                    [
                        '$.date', '$.open', '$.high', '$.low', '$.close', '$.volume', '$.oi',
                        '$.timestamp'
                    ]
                )
        end as field
    from candle
),
named as (
    select
        reply_id,
        position,
        field is null as malformed,
        case when json_type(field[1]) <> 'NULL' then field[1] else field[8] end as date,
        list_transform(field[2:7], lambda x: json_type(x)) as kind,
        list_transform(field[2:7], lambda x: x ->> '$') as text
    from shaped
),
valued as (
    select
        reply_id,
        position,
        malformed,
        json_type(date) as date_kind,
        regexp_extract(
            case when json_type(date) = 'VARCHAR' then date ->> '$' end,
            '^((?:19|20)\d\d-\d\d-\d\d)[T ]((?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d)'
            || '(Z|([+-])([01]\d|2[0-3]):?([0-5]\d))?$',
            ['day', 'clock', 'zone', 'sign', 'hours', 'minutes']
        ) as part,
        kind,
        text,
        list_transform(
            list_zip(kind, text),
            lambda x: case
                when x[1] in ('BIGINT', 'UBIGINT', 'DOUBLE') then try_cast(x[2] as double)
            end
        ) as value
    from named
),
timed as (
    select
        *,
        try_cast(part.day || ' ' || part.clock as timestamp) as wall_clock,
        case part.sign when '-' then -1 else 1 end * (
            coalesce(try_cast(part.hours as integer), 0) * 60
            + coalesce(try_cast(part.minutes as integer), 0)
        ) as offset_minutes
    from valued
),
judged as (
    select
        *,
        case
            when malformed then 'malformed'
            when
                coalesce(date_kind, 'NULL') = 'NULL'
                or len(list_filter(kind[1:5], lambda x: coalesce(x, 'NULL') = 'NULL')) > 0
                then 'missing_field'
            when wall_clock is null then 'bad_date'
            when part.zone = '' then 'date_without_offset'
            when
                len(list_filter(
                    list_zip(kind, text),
                    lambda x: x[1] = 'VARCHAR' and regexp_full_match(
                        x[2], '[ \t\r\n]*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?[ \t\r\n]*'
                    )
                )) > 0
                then 'number_as_string'
            when
                len(list_filter(
                    list_zip(kind, value),
                    lambda x: x[1] <> 'NULL' and not coalesce(isfinite(x[2]), false)
                )) > 0
                then 'not_a_number'
            when kind[5] = 'DOUBLE' and value[5] <> floor(value[5]) then 'fractional_volume'
            when kind[6] = 'DOUBLE' and value[6] <> floor(value[6]) then 'fractional_oi'
        end as rule
    from timed
),
whole as (
    select
        *,
        -- As a double, 2^63 - 1 would be 2^63: whole numbers are cast from their digits.
        list_transform(
            list_zip(kind[5:6], text[5:6], value[5:6]),
            lambda x: case
                when x[1] in ('BIGINT', 'UBIGINT') then try_cast(x[2] as bigint)
                when x[3] < 0 then cast(greatest(x[3], -9223372036854775808.0::double) as bigint)
                else try_cast(x[3] as bigint)
            end
        ) as count
    from judged
)
select
    reply_id,
    position,
    case when part.zone <> '' then wall_clock + to_minutes(330 - offset_minutes) end as ist,
    value[1] as open,
    value[2] as high,
    value[3] as low,
    value[4] as close,
    count[1] as volume,
    count[2] as oi,
    value[5] is not null and count[1] is null as volume_overflows,
    value[6] is not null and count[2] is null as oi_overflows,
    rule
from whole
