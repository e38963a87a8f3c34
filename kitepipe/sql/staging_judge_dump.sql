-- Types the rows of dump_text into the temp table dump_row; rule says why one is no instrument.
-- Kite's tokens are exchange_token * 256 + the exchange's number: a row in which the two
-- contradict each other was edited by hand. Kite names an instrument by exchange:tradingsymbol,
-- so no dump holds one twice. Characters that steer a terminal or the direction of writing ($steering,
-- a class) would do harm where names are shown: in a name another one stands for them, but for a
-- future's, which is its underlying. Texts longer than any of Kite's would where they are indexed.
-- Lines that are no CSV ($odd, reject_errors) come last, with the token that they seem to have.
-- One row a row of the dump.
create or replace temp table dump_row as
with
typed as (
    select
        row_number() over () as line,
        try_cast(instrument_token as bigint) as instrument_token,
        try_cast(exchange_token as bigint) as exchange_token,
        coalesce(exchange, '') as exchange,
        coalesce(tradingsymbol, '') as tradingsymbol,
        coalesce(name, '') as told_name,
        regexp_replace(told_name, $steering, chr(65533), 'g') as name,
        coalesce(instrument_type, '') as instrument_type,
        coalesce(segment, '') as segment,
        try_cast(expiry as date) as expiry,
        coalesce(expiry, '') <> '' and try_cast(expiry as date) is null as bad_expiry,
        coalesce(try_cast(strike as double), 0) as strike,
        coalesce(try_cast(tick_size as double), 0) as tick_size,
        coalesce(try_cast(lot_size as bigint), 0) as lot_size,
        array_to_string(list_transform([
            dump_text.instrument_token, dump_text.exchange_token, dump_text.tradingsymbol,
            dump_text.name, last_price, dump_text.expiry, dump_text.strike, dump_text.tick_size,
            dump_text.lot_size, dump_text.instrument_type, dump_text.segment, dump_text.exchange
        ], lambda field : coalesce(field, '')), ',') as raw
    from dump_text
),
judged as (
    select
        *,
        case
            when coalesce(instrument_token, 0) <= 0 then 'bad_token'
            when tradingsymbol = '' then 'missing_symbol'
            when exchange = '' then 'missing_exchange'
            when bad_expiry then 'bad_expiry'
            when regexp_matches(
                concat_ws(' ', tradingsymbol, exchange, segment, instrument_type), $steering
            ) or (instrument_type = 'FUT' and name <> told_name) then 'control_character'
            when greatest(
                length(tradingsymbol), length(name), length(exchange), length(segment),
                length(instrument_type)
            ) > 255 then 'too_long'
            when exchange_token is distinct from instrument_token // 256 then 'token_mismatch'
        end as fault
    from typed
)
select
    * exclude (bad_expiry, told_name, fault),
    case
        when fault is not null then fault
        when row_number() over (
            partition by exchange, instrument_token, fault is null order by line
        ) > 1 then 'duplicate_token'
        when row_number() over (
            partition by exchange, tradingsymbol, fault is null order by line
        ) > 1 then 'duplicate_symbol'
    end as rule
from judged
union all by name
select
    null as line,
    try_cast(split_part(raw, ',', 1) as bigint) as instrument_token,
    raw,
    'bad_csv' as rule
from (
    select any_value(csv_line) as raw
    from reject_errors
    group by line
    union all
    select unnest(cast($odd as varchar[]))
)
