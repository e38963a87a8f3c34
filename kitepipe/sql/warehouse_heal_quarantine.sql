-- Forgets quarantined candles whose date newer replies decide, and counts them off in the ledger.
-- Writes kite_quarantine, kite_load_ledger. Parameters: staging_ids, reply_ids, open_undated (the
-- replies to judge, and whether their candles without a known date stay), and window_* (the dates
-- that these replies decide still), arrays side by side. One row is one candle, then one reply.
with healed as (
    delete from kite_quarantine as q
    using unnest(
        %(staging_ids)s::text [], %(reply_ids)s::bigint [], %(open_undated)s::boolean []
    ) as r (staging_id, reply_id, open_undated)
    where
        q.staging_id = r.staging_id
        and q.reply_id = r.reply_id
        and not case
            when q.trade_date is null then r.open_undated
            else exists (
                select
                from unnest(
                    %(window_staging_ids)s::text [], %(window_reply_ids)s::bigint [],
                    %(window_firsts)s::date [], %(window_lasts)s::date []
                ) as w (staging_id, reply_id, first, last)
                where
                    w.staging_id = q.staging_id
                    and w.reply_id = q.reply_id
                    and q.trade_date between w.first and w.last
            )
        end
    returning q.staging_id, q.reply_id
)
update kite_load_ledger as l set
    candles_quarantined = l.candles_quarantined - h.candles
from (
    select staging_id, reply_id, count(*) as candles
    from healed
    group by staging_id, reply_id
) as h
where l.staging_id = h.staging_id and l.reply_id = h.reply_id
