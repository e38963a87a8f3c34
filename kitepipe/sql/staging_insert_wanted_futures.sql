-- The continuous futures of which a listed contract is wanted, by the predicate of
-- instrument_filter.sql, or that are wanted themselves as NIFTY-CONT, into the temp table
-- wanted_instrument, behind what is there. Each is asked with the token of the contract that
-- expires next. One row a future.
insert into wanted_instrument
with listed as (
    from instrument
    qualify row_number() over (
        partition by exchange, instrument_token order by snapshot_id desc, gone
    ) = 1
),
contract as (
    from listed
    where
        not gone and instrument_type = 'FUT' and exchange in ('NFO', 'MCX') and name <> ''
        and expiry is not null
),
wanted as (
    select exchange, name
    from contract
    where {predicate}
    union
    select exchange, name
    from (select * replace (name || '-CONT' as tradingsymbol) from contract)
    where {predicate}
)
select
    (select count(*) from wanted_instrument) + row_number() over (order by exchange, name), true, false,
    continuous_future.instrument_key,
    min_by(contract.snapshot_id, contract.expiry),
    min_by(contract.instrument_token, contract.expiry),
    exchange, name || '-CONT', name, 'FUT', continuous_future.segment,
    cast(null as date), cast(0 as double), cast(0 as bigint), cast(0 as double), cast(0 as bigint)
from contract
inner join wanted using (exchange, name)
inner join continuous_future using (exchange, name)
group by continuous_future.instrument_key, exchange, name, continuous_future.segment
