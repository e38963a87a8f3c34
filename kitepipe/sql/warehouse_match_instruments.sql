-- Which instrument each key of staging is; a new id where it is none that is known.
-- Contracts with an expiry are exchange, symbol, expiry, strike and type: their tokens are used
-- again. The rest are known by any (exchange, token) they ever had; where a token passed from one
-- instrument to another, periods that overlap come first, then the number of shared names.
-- A continuous future is its exchange and its underlying's name, and has no token at all.
-- Reads kite_incoming, kite_newest, kite_instruments, kite_instrument_names. Writes temp table
-- kite_match (under the instruments' lock, or two would give one id). One row is one key.
create temp table kite_match on commit drop as
with
contract as (
    select
        n.instrument_key,
        i.instrument_id
    from kite_newest as n
    left join kite_instruments as i
        on
            i.exchange = n.exchange
            and i.tradingsymbol = n.tradingsymbol
            and i.expiry = n.expiry
            and i.strike = n.strike
            and i.instrument_type = n.instrument_type
            and i.continuous = n.continuous
    where n.expiry is not null
),
stitched as (
    select
        n.instrument_key,
        i.instrument_id
    from kite_newest as n
    left join kite_instruments as i
        on i.exchange = n.exchange and i.name = n.name and i.continuous and i.expiry is null
    where n.continuous and n.expiry is null
),
shared as (
    select
        k.instrument_key,
        i.instrument_id,
        count(*) filter (
            where
            k.valid_from < coalesce(w.valid_to, 'infinity')
            and w.valid_from < coalesce(k.valid_to, 'infinity')
        ) as meeting,
        count(*) as names,
        min(k.valid_from) as since
    from kite_newest as n
    join kite_incoming as k on k.instrument_key = n.instrument_key
    join kite_instrument_names as w
        on w.instrument_token = k.instrument_token and w.exchange = k.exchange
    join kite_instruments as i
        on i.instrument_id = w.instrument_id and i.expiry is null and not i.continuous
    where n.expiry is null and not n.continuous
    group by k.instrument_key, i.instrument_id
),
chosen as (
    select distinct on (instrument_key) *
    from shared
    order by instrument_key, meeting desc, names desc, instrument_id
),
agreed as (
    select distinct on (instrument_id) *
    from chosen
    order by instrument_id, meeting desc, names desc, since, instrument_key
),
listed as (
    select
        n.instrument_key,
        a.instrument_id
    from kite_newest as n
    left join agreed as a on a.instrument_key = n.instrument_key
    where n.expiry is null and not n.continuous
),
found as (
    select instrument_key, instrument_id from contract
    union all
    select instrument_key, instrument_id from stitched
    union all
    select instrument_key, instrument_id from listed
),
unknown as (
    select
        f.instrument_key,
        dense_rank() over (
            order by
                n.exchange, n.tradingsymbol, n.expiry, n.strike, n.instrument_type, n.continuous,
                case when n.expiry is null then n.instrument_key end
        ) as place
    from found as f
    join kite_newest as n on n.instrument_key = f.instrument_key
    where f.instrument_id is null
)
select
    f.instrument_key,
    coalesce(
        f.instrument_id,
        u.place + (select coalesce(max(instrument_id), 0) from kite_instruments)
    )::integer as instrument_id
from found as f
left join unknown as u on u.instrument_key = f.instrument_key
