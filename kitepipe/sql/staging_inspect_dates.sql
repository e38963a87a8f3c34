-- The IST dates of the candles in a body, whatever their form: arrays, objects, any offset (a text
-- without one is taken for IST). staging_inspect_body does it faster for arrays with +0530.
-- Reads $body. One row: dates (texts, distinct, in order), and how many candles each has.
select
    coalesce(list(day order by day), []) as dates,
    coalesce(list(candles order by day), []) as candles
from (
    select day, count(*) as candles
    from (
        select
            if(
                regexp_matches(text, ':\d{2}(Z|[+-]\d{2}:?\d{2})$'),
                cast(cast(
                    make_timestamp(epoch_us(try_cast(text as timestamptz)))
                    + interval '5 hours 30 minutes' as date
                ) as varchar),
                text[1:10]
            ) as day
        from (
            select coalesce(candle ->> '$[0]', candle ->> '$.date', candle ->> '$.timestamp') as text
            from (select unnest(json_extract($body, '$.data.candles[*]')) as candle)
        )
    )
    where day is not null
    group by day
)
