-- The instruments that were listed, are no longer, and are wanted by the predicate of
-- instrument_filter.sql, with what was asked of them. One row an instrument and interval:
-- instrument_key, snapshot_id of the dump that lacked it first, exchange, tradingsymbol,
-- instrument_type, name, expiry, the IST dates of that dump and of the first that had it, interval,
-- first date with a candle (null: none), first date asked (null: never), the newest reply's first
-- and last date and when it was fetched (UTC, by the clock that was behind, the box's or Kite's; null:
-- none), whether that is known to the user
-- (table named_loss). What was never asked counts only where others of its exchange had been.
-- Parameter: $intervals.
with
dump as (
    select
        snapshot_id,
        cast(taken_at + interval '5 hours 30 minutes' - interval '8 hours 30 minutes' as date) as day
    from snapshot
),
state as (
    from instrument
    qualify row_number() over (partition by instrument_key order by snapshot_id desc, gone) = 1
),
first_listed as (
    select instrument_key, min(day) as since
    from instrument
    inner join dump using (snapshot_id)
    group by instrument_key
),
asked as (
    select
        instrument_key, interval, min(first_date) as asked_from, min(first_candle) as first_candle,
        max_by(first_date, fetched_at) as newest_first,
        max_by(last_date, fetched_at) as newest_last,
        max_by(least(http_date, fetched_at), fetched_at) as fetched_at
    from chunk
    left join reply using (chunk_id)
    where not continuous
    group by instrument_key, interval
),
begun as (
    select exchange, interval, min(asked_at) as asked_at
    from chunk
    group by exchange, interval
)
select
    instrument_key, snapshot_id, exchange, tradingsymbol, instrument_type, name, expiry,
    gone_on.day, since, wanted.interval, first_candle, asked_from, newest_first, newest_last,
    asked.fetched_at,
    (instrument_key, wanted.interval, snapshot_id) in (
        select (named_loss.instrument_key, named_loss.interval, named_loss.snapshot_id)
        from named_loss
    )
from state
inner join dump as gone_on using (snapshot_id)
inner join first_listed using (instrument_key)
cross join (select unnest(cast($intervals as varchar[])) as interval) as wanted
left join asked using (instrument_key, interval)
left join begun using (exchange, interval)
where
    gone
    and (asked_from is not null or cast(begun.asked_at as date) < gone_on.day)
    and {predicate}
order by expiry nulls last, exchange, tradingsymbol, wanted.interval
