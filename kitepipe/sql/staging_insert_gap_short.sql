-- Intraday sessions with fewer candles than the series' own typical one, of a span of dates, into the
-- temp table gap_short. Parameters: $first and $last of the span; $exchanges and $changes, side by side.
-- Typical is the median of a stretch of 42 days; stretches begin every 21 days, and that one counts
-- in which the date is the most central (a window function takes four times as long). A change of
-- session hours ($exchanges, $changes: since when) ends a stretch. It is taken for full only where
-- at most a fifth has fewer and a tenth has more, and where others have hardly more: an illiquid
-- instrument's empty minutes are no holes. A day on which most were short was a short session
-- (Muhurat, a halt), unless the instrument's own other interval was full.
-- Such a session is told beside a whole one: of a peer on that date, else the own nearest one.
-- A session depends on its stretch, up to 31 days away: so many are read on both sides of the span.
-- Reads gap_day, gap_series. One row a series and date: series_id, date, needed (candles), rank (of
-- the reply that decides), and that of the whole session: like_series, like_date, like_rank.
insert into gap_short
with
change as (
    select unnest(cast($exchanges as varchar[])) as exchange, unnest(cast($changes as date[])) as since
),
span as (
    select exchange, cast(unnest(generate_series(first, last, interval '1 day')) as date) as date
    from (
        select min(date) as first, max(date) as last
        from gap_day
        where date between cast($first as date) - 31 and cast($last as date) + 31
    )
    cross join (select distinct exchange from gap_series where interval <> 'day')
),
hours as (
    select span.exchange, date, coalesce(max(since), date '1970-01-01') as since
    from span
    left join change on change.exchange = span.exchange and since <= date
    group by span.exchange, date
),
decided as (
    select
        series_id, date, since, date - date '1970-01-01' as day,
        arg_max(candles, rank) as candles, max(rank) as rank
    from gap_day
    inner join gap_series using (series_id)
    inner join hours using (exchange, date)
    where interval <> 'day'
    group by series_id, date, since
),
stretch as (
    select
        series_id, number, since,
        quantile_disc(candles, [0.5, 0.2, 0.9]) as middle, count(*) as sessions
    from (
        select series_id, since, candles, day // 42 * 2 as number from decided
        union all
        select series_id, since, candles, (day + 21) // 42 * 2 + 1 from decided
    )
    group by series_id, number, since
),
judged as (
    select
        series_id, instrument_key, exchange, interval, date, day, since, rank, candles,
        middle[1] as typical, first_candle, wanted
    from (
        select
            *,
            if(day % 42 between 10 and 31, day // 42 * 2, (day + 21) // 42 * 2 + 1) as number
        from decided
        where date between $first and $last
    )
    inner join stretch using (series_id, number, since)
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
),
short as (
    select judged.*
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
),
peer as (
    select
        short.series_id, short.date,
        min_by((other.series_id, other.date, other.rank), other.series_id) as whole
    from short
    inner join judged as other using (exchange, interval, date)
    where other.candles = short.typical and other.series_id <> short.series_id
    group by short.series_id, short.date
),
own as (
    select
        short.series_id, short.date,
        min_by(
            (other.series_id, other.date, other.rank), (abs(other.day - short.day), other.day)
        ) as whole
    from short
    inner join decided as other using (series_id, since)
    where other.candles = short.typical
    group by short.series_id, short.date
)
select
    series_id, date, typical as needed, rank,
    coalesce(peer.whole, own.whole)[1] as like_series,
    coalesce(peer.whole, own.whole)[2] as like_date,
    coalesce(peer.whole, own.whole)[3] as like_rank
from short
left join peer using (series_id, date)
inner join own using (series_id, date)
