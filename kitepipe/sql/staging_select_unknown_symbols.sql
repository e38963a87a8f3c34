-- Which of $symbols (INFY or NSE:INFY) no listed instrument has. One row a symbol.
with listed as (
    from instrument
    qualify row_number() over (
        partition by exchange, instrument_token order by snapshot_id desc, gone
    ) = 1
)
select symbol
from (select unnest($symbols::varchar[]) as symbol) as wanted
where symbol not in (
    select tradingsymbol from listed where not gone
    union all
    select exchange || ':' || tradingsymbol from listed where not gone
)
order by symbol
