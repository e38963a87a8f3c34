-- Intraday sessions with fewer candles than the series' own typical one: the temp table gap_short.
-- Typical is the median of a stretch of 42 days; stretches begin every 21 days, and that one counts
-- in which the date is the most central (a window function takes four times as long). It is taken
-- for full only where at most a fifth has fewer and a tenth has more, and where others have hardly
-- more: an illiquid instrument's empty minutes are no holes. A day on which most were short was a
-- short session (Muhurat, a halt), unless the instrument's own other interval was full.
-- Reads gap_day, gap_series. One row a series and date: series_id, date, needed (candles).
create or replace temp table gap_short as
with
decided as (
    select series_id, date, date - date '1970-01-01' as day, arg_max(candles, rank) as candles
    from gap_day
    inner join gap_series using (series_id)
    where interval <> 'day'
    group by series_id, date
),
stretch as (
    select series_id, number, quantile_disc(candles, [0.5, 0.2, 0.9]) as middle, count(*) as sessions
    from (
        select series_id, candles, day // 42 * 2 as number from decided
        union all
        select series_id, candles, (day + 21) // 42 * 2 + 1 from decided
    )
    group by series_id, number
),
judged as (
    select
        series_id, instrument_key, exchange, interval, date, candles, middle[1] as typical,
        first_candle, wanted
    from (
        select
            *,
            if(day % 42 between 10 and 31, day // 42 * 2, (day + 21) // 42 * 2 + 1) as number
        from decided
    )
    inner join stretch using (series_id, number)
    inner join gap_series using (series_id)
    where sessions >= 5 and middle[2] = middle[1] and middle[3] = middle[1]
),
peers as (
    select
        exchange, date,
        count(*) filter (where candles >= typical) as whole,
        count(*) filter (where candles < typical) as short
    from judged
    group by exchange, date
),
fullest as (
    select exchange, interval, date, max(typical) as typical
    from judged
    group by exchange, interval, date
)
select series_id, date, judged.typical as needed
from judged
inner join peers using (exchange, date)
inner join fullest using (exchange, interval, date)
where
    wanted and candles < judged.typical and date > first_candle
    and judged.typical >= 0.9 * fullest.typical
    and (
        (whole > 0 and whole >= short)
        or exists (
            from judged as other
            where
                other.instrument_key = judged.instrument_key and other.date = judged.date
                and other.series_id <> judged.series_id and other.candles >= other.typical
        )
    )
