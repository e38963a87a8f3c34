-- Which of $symbols (INFY or NSE:INFY) no listed instrument has, nor a continuous
-- future (NIFTY-CONT). One row a symbol, and the listed one that is most like it, null where none is.
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
),
missed as (
    select symbol, regexp_replace(symbol, '^[A-Z]+:', '') as tradingsymbol
    from (select unnest($symbols::varchar[]) as symbol)
    where symbol not in (
        select tradingsymbol from named
        union all
        select exchange || ':' || tradingsymbol from named
    )
),
likeness as (
    select
        symbol, exchange || ':' || named.tradingsymbol as listed,
        jaro_winkler_similarity(upper(missed.tradingsymbol), named.tradingsymbol) as likeness
    from missed
    cross join named
)
select symbol, arg_max(listed, (likeness, listed)) filter (where likeness >= 0.85)
from missed
left join likeness using (symbol)
group by symbol
order by symbol
