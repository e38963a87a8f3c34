-- How much is to be asked of each series, into the temp table planned: fetch_plan.plan_jobs for all
-- at once, which makes the windows themselves when their turn comes. tests/test_fetch_agenda.py
-- holds both to the same. Reads the temp tables wanted_instrument and known.
-- Parameters: $intervals and $caps (the most days of a window; side by side, `probe` among them),
-- $exchanges and $settled (the last settled date; side by side), $today, $period (08:00 IST),
-- $day_from and $intraday_from (where histories begin at the earliest), $first, $last (null: none),
-- $refetch, $soon (what expires by then is asked newest first).
-- One row a series: place, interval, requests, the first and last date they ask, and their days.
create or replace temp table planned as
with
kind as (
    select unnest(cast($intervals as varchar [])) as interval, unnest(cast($caps as int [])) as cap
),
closed as (
    select
        unnest(cast($exchanges as varchar [])) as exchange,
        unnest(cast($settled as date [])) as settled
),
beginning as (
    select
        instrument_key, continuous, coalesce(
            max(history_start(firsts, lasts, first_session, cast($intraday_from as date)))
                filter (where interval = 'day'),
            max(history_start(firsts, lasts, first_session, cast($intraday_from as date)))
                filter (where interval = 'probe')
        ) as starts
    from known
    where interval in ('day', 'probe')
    group by instrument_key, continuous
),
life as (
    select
        place, kind.interval, cap, settled, starts, coalesce(expiry <= $soon, false) as newest_first,
        coalesce(firsts, []) as firsts, coalesce(lasts, []) as lasts, first_session,
        case when period <> $period then last_session end as session,
        case kind.interval
            when 'day' then greatest(cast($day_from as date), case when not $refetch then
                history_start(firsts, lasts, first_session, cast($day_from as date))
            end)
            when 'probe' then cast($intraday_from as date)
            else greatest(cast($intraday_from as date), case when not $refetch then starts end)
        end as born,
        least(cast($today as date), expiry) as dies
    from wanted_instrument
    cross join kind
    inner join closed using (exchange)
    left join known using (instrument_key, interval, continuous)
    left join beginning using (instrument_key, continuous)
    where case kind.interval
        when 'day' then not stitched
        when 'probe' then
            not continuous and (stitched or not list_contains(cast($intervals as varchar []), 'day'))
        else not continuous
    end
),
span as (
    select
        * exclude (firsts, lasts),
        case when $refetch then [] else firsts end as firsts,
        case when $refetch then [] else lasts end as lasts,
        greatest(born, cast($first as date)) as first_date,
        least(dies, cast($last as date)) as last_date,
        -- A day series goes back from the edge of what is known until enough is empty.
        case
            when interval <> 'day' or $refetch or $first > born or $last < dies then null
            when len(firsts) = 0 then dies + 1
            else firsts[1]
        end as edge,
        edge is not null and len(firsts) > 0 and 2000 <= case
            when first_session between firsts[1] and lasts[1] then first_session - firsts[1]
            else lasts[1] - firsts[1] + 1
        end as is_over
    from life
    where first_date <= last_date
),
gap as (
    select
        *,
        greatest(first_date, lasts[number] + 1) as gap_first,
        least(last_date, firsts[number + 1] - 1) as gap_last,
        coalesce(gap_first < edge, false) as is_before
    from (select *, unnest(range(len(firsts) + 1)) as number from span)
),
-- The session that is known already stretches the gap that is nearest, or is asked beside it.
near as (
    select
        *,
        session is not null and row_number() over (
            partition by place, interval
            order by
                is_before,
                greatest(gap_last, session) - least(gap_first, session) - (gap_last - gap_first),
                case when newest_first then -number else number end
        ) = 1 as is_nearest,
        (greatest(gap_last, session) - least(gap_first, session) + cap) // cap
        <= (gap_last - gap_first + cap) // cap as fits
    from gap
    where gap_first <= gap_last and gap_first <= settled and not (is_before and is_over)
),
part as (
    select
        place, interval, cap, starts, first_session, session, is_nearest and not fits as is_beside,
        case when is_nearest and fits then least(gap_first, session) else gap_first end as f,
        case when is_nearest and fits then greatest(gap_last, session) else gap_last end as l
    from near
),
asked as (
    select
        place, interval, any_value(starts) as starts,
        sum((l - f + cap) // cap + is_beside::int) as requests,
        sum(
            case
                when first_session is null then (l - f + cap) // cap + is_beside::int
                else
                    greatest(0, least((l - f + cap) // cap, (first_session - f + cap - 1) // cap))
                    + (is_beside and session < first_session)::int
            end
        ) as early,
        min(least(f, case when is_beside then session end)) as first_date,
        max(greatest(l, case when is_beside then session end)) as last_date,
        sum(l - f + 1 + is_beside::int) as days
    from part
    group by place, interval
)
select place, interval, requests, first_date, last_date, days
from asked
-- A probe is asked where it may save more requests than it costs.
qualify interval <> 'probe' or bool_or(
    interval not in ('day', 'probe') and early > 3 and starts is null
) over (partition by place)
