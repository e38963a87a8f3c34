-- Finds what is new or changed in dump_row, and the key under which each belongs, into the temp
-- table dump_change. One row a listed instrument that differs from what is known.
-- The rule of identity, first match first:
-- 1. A dated contract is (exchange, tradingsymbol, expiry, strike, type), whatever its token: that
--    is given to another contract after expiry (10,983 of 11,098 NFO tokens within a year).
-- 2. The rest keep their key while the token stays; another symbol is then a rename (nearly all
--    of 349 in 18 months are). A token that was gone and is back is the old instrument only where
--    the symbol less its series or the name is the old one: else it was given to another.
-- 3. Where the token is gone, a new one with the same symbol less its series and the same name is
--    a change of series (31 within 8 days of March 2026). Series of one share are none, -BE and
--    -BZ (trade to trade), -SM, -ST and -SZ (SME). No other suffix is one: warrants (-W1), partly
--    paid shares (-P1, -E1) and entitlements (-RE) bear their company's name beside the share, and
--    bonds (-N1, -N2 ...) often no name at all.
-- A key stays with one token: what is still listed under a token of its own is matched by no other.
create or replace temp table dump_change as
with
state as (
    select *, regexp_replace(tradingsymbol, '-(BE|BZ|SM|ST|SZ)$', '') as base
    from instrument
    qualify row_number() over (
        partition by exchange, instrument_token order by snapshot_id desc, gone
    ) = 1
),
change as (
    select
        dump.*,
        regexp_replace(dump.tradingsymbol, '-(BE|BZ|SM|ST|SZ)$', '') as base,
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
    select line, known.instrument_key, 1 as preference, known.snapshot_id
    from change
    inner join instrument as known
        using (exchange, tradingsymbol, expiry, strike, instrument_type)
    where change.expiry is not null
    union all
    select line, token_key, 2, null
    from change
    where
        expiry is null and token_expiry is null and token_key is not null
        and (not token_gone or base = token_base or (name = token_name and name <> ''))
    union all
    select line, state.instrument_key, 3, state.snapshot_id
    from change
    inner join state using (exchange, base, name)
    where
        change.expiry is null and state.expiry is null
        and (name <> '' or change.tradingsymbol = state.tradingsymbol)
        and state.instrument_key not in (
            select listed.instrument_key
            from state as listed
            inner join dump_row using (exchange, instrument_token)
            where not listed.gone
        )
),
matched as (
    select *
    from (
        from candidate
        qualify row_number() over (
            partition by line order by preference, snapshot_id desc, instrument_key desc
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
