-- Whether anything that is listed now, or a continuous future of it (NIFTY-CONT), meets the predicate
-- of instrument_filter.sql. One row where it does, none where not.
with listed as (
    from instrument
    qualify row_number() over (
        partition by exchange, instrument_token order by snapshot_id desc, gone
    ) = 1
)
select 1
from (
    from listed
    where not gone
    union all
    select * replace (name || '-CONT' as tradingsymbol)
    from listed
    where not gone and instrument_type = 'FUT' and exchange in ('NFO', 'MCX')
)
where {predicate}
limit 1
