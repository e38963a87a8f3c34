-- Finds what is new or changed in dump_row, and the key under which each belongs, into the temp
-- table dump_change. One row a listed instrument that differs from what is known.
-- The rule of identity: a dated contract is (exchange, tradingsymbol, expiry, strike, type), for
-- its token is given to another contract after expiry. The rest keep their key while the token
-- stays (the symbol is then a rename), and when the token is gone and a new one has the same
-- symbol less its series suffix (-BE, -BZ, -SM ...) and the same name: a change of series.
create or replace temp table dump_change as
with
state as (
    select *, regexp_replace(tradingsymbol, '-[A-Z][A-Z0-9]$', '') as base
    from instrument
    qualify row_number() over (
        partition by exchange, instrument_token order by snapshot_id desc, gone
    ) = 1
),
change as (
    select
        dump.*,
        regexp_replace(dump.tradingsymbol, '-[A-Z][A-Z0-9]$', '') as base,
        state.instrument_key as token_key,
        state.expiry as token_expiry,
        state.gone as token_gone,
        state.base as token_base,
        state.name as token_name
    from dump_row as dump
    left join state using (exchange, instrument_token)
    where
        dump.rule is null
        and (
            state.instrument_key is null
            or state.gone
            or (
                state.exchange_token, state.tradingsymbol, state.name, state.instrument_type,
                state.segment, state.strike, state.tick_size, state.lot_size
            ) <> (
                dump.exchange_token, dump.tradingsymbol, dump.name, dump.instrument_type,
                dump.segment, dump.strike, dump.tick_size, dump.lot_size
            )
            or state.expiry is distinct from dump.expiry
        )
),
candidate as (
    select line, known.instrument_key, 1 as preference
    from change
    inner join instrument as known
        using (exchange, tradingsymbol, expiry, strike, instrument_type)
    where change.expiry is not null
    union all
    select line, token_key, 2
    from change
    where
        expiry is null and token_expiry is null
        and (not token_gone or base = token_base or name = token_name)
    union all
    select line, state.instrument_key, 3
    from change
    inner join state using (exchange, base, name)
    where
        change.expiry is null and change.token_key is null
        and state.expiry is null
        and not exists (
            from dump_row
            where
                dump_row.exchange = state.exchange
                and dump_row.instrument_token = state.instrument_token
        )
),
matched as (
    select *
    from (
        from candidate
        where instrument_key is not null
        qualify row_number() over (
            partition by line order by preference, instrument_key desc
        ) = 1
    )
    qualify row_number() over (partition by instrument_key order by preference, line) = 1
)
select
    change.* exclude (token_key, token_expiry, token_gone, token_base, token_name, base),
    coalesce(
        matched.instrument_key,
        (select coalesce(max(instrument_key), 0) from instrument)
        + row_number() over (partition by matched.instrument_key is null order by line)
    ) as instrument_key
from change
left join matched using (line)
