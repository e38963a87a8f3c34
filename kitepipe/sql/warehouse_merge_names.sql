-- The names of instruments of which something new is told, as all staging files tell them.
-- Periods of one name that touch or overlap become one. It ends with the latest end that anyone
-- saw, unless somebody saw the name again from then on: a period that began before that end and
-- is still open comes from a staging file that was no longer fed. The next name ends it anyway.
-- Reads kite_incoming, kite_match, kite_untold, kite_instrument_names. Writes kite_merged (temp).
create temp table kite_merged on commit drop as
with
told as (
    select
        m.instrument_id, k.valid_from, k.valid_to, k.exchange, k.tradingsymbol,
        k.instrument_token, k.exchange_token
    from kite_incoming as k
    join kite_match as m on m.instrument_key = k.instrument_key
    join kite_untold as u on u.instrument_id = m.instrument_id
    union
    select
        w.instrument_id, w.valid_from, w.valid_to, w.exchange, w.tradingsymbol,
        w.instrument_token, w.exchange_token
    from kite_instrument_names as w
    where w.instrument_id in (select instrument_id from kite_untold)
),
linked as (
    select
        *,
        row_number() over line as place,
        (lag(exchange) over line, lag(tradingsymbol) over line, lag(instrument_token) over line)
        is distinct from (exchange, tradingsymbol, instrument_token)
        or coalesce(
            max(coalesce(valid_to, 'infinity')) over (
                partition by instrument_id, exchange, tradingsymbol, instrument_token
                order by valid_from, valid_to nulls last
                rows between unbounded preceding and 1 preceding
            ) < valid_from,
            true
        ) as begins
    from told
    window line as (
        partition by instrument_id order by valid_from, valid_to nulls last, tradingsymbol,
        instrument_token
    )
),
numbered as (
    select *, count(*) filter (where begins) over (partition by instrument_id order by place) as run
    from linked
),
joined as (
    select
        instrument_id, run, min(valid_from) as valid_from, max(valid_to) as ended,
        max(valid_from) filter (where valid_to is null) as opened,
        max(exchange) as exchange, max(tradingsymbol) as tradingsymbol,
        max(instrument_token) as instrument_token,
        (array_agg(exchange_token order by place desc))[1] as exchange_token
    from numbered
    group by instrument_id, run
),
bounded as (
    select
        *,
        least(
            case when ended is null or opened >= ended then null else ended end,
            lead(valid_from) over (partition by instrument_id order by run)
        ) as valid_to
    from joined
)
-- A name that ended on the day it began is kept only where the instrument had no other.
select
    instrument_id, valid_from, valid_to, exchange, tradingsymbol, instrument_token, exchange_token
from (
    select
        *,
        coalesce(valid_to > valid_from, true) as lasted,
        bool_or(coalesce(valid_to > valid_from, true)) over whole as any_lasted,
        run = max(run) over whole as is_last
    from bounded
    window whole as (partition by instrument_id)
) as judged
where lasted or (is_last and not any_lasted)
