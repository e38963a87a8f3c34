-- Which of $symbols (INFY or NSE:INFY) no listed instrument has, nor a continuous
-- future (NIFTY-CONT). One row a symbol.
with listed as (
    from instrument
    qualify row_number() over (
        partition by exchange, instrument_token order by snapshot_id desc, gone
    ) = 1
),
named as (
    select exchange, tradingsymbol from listed where not gone
    union all
    select exchange, name || '-CONT'
    from listed
    where not gone and instrument_type = 'FUT' and exchange in ('NFO', 'MCX')
)
select symbol
from (select unnest($symbols::varchar[]) as symbol) as wanted
where symbol not in (
    select tradingsymbol from named
    union all
    select exchange || ':' || tradingsymbol from named
)
order by symbol
