-- The candle times of whole sessions that short ones lack, IST, times that follow each other in the
-- whole session together. Parameters, lists of one length: $replies and $dates of the short
-- sessions, $like_replies and $like_dates of the whole ones.
-- Reads the temp table staged_body. One row a run of times: session (place in the lists, from 1),
-- first and last (texts), candles.
with
session as (
    select
        unnest(range(1, len($replies) + 1)) as session,
        unnest(cast($replies as bigint[])) as reply_id, unnest(cast($dates as date[])) as date,
        unnest(cast($like_replies as bigint[])) as like_id,
        unnest(cast($like_dates as date[])) as like_date
),
candle as (
    select reply_id, cast(opened as date) as date, strftime(opened, '%H:%M') as time
    from (
        select
            reply_id,
            if(
                regexp_matches(text, ':\d{2}(Z|[+-]\d{2}:?\d{2})$'),
                make_timestamp(epoch_us(try_cast(text as timestamptz))) + interval '5 hours 30 minutes',
                try_cast(text as timestamp)
            ) as opened
        from (
            select
                reply_id,
                coalesce(candle ->> '$[0]', candle ->> '$.date', candle ->> '$.timestamp') as text
            from (
                select reply_id, unnest(json_extract(body, '$.data.candles[*]')) as candle
                from staged_body
            )
        )
    )
),
expected as (
    select
        session, session.reply_id, session.date, time,
        row_number() over (partition by session order by time) as place
    from session
    inner join candle on candle.reply_id = like_id and candle.date = like_date
    group by session, session.reply_id, session.date, time
),
missing as (
    select session, time, place - row_number() over (partition by session order by place) as run
    from expected
    anti join candle using (reply_id, date, time)
)
select session, min(time) as first, max(time) as last, count(*) as candles
from missing
group by session, run
order by session, first
