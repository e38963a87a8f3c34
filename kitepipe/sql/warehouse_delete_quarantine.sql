-- Forgets quarantined candles of these replies, except those that are quarantined still.
-- Writes kite_quarantine. Parameters: staging_ids and reply_ids (the replies), and kept_* (the
-- rows that stay), arrays side by side. One row is one candle.
delete from kite_quarantine as q
using unnest(%(staging_ids)s::text [], %(reply_ids)s::bigint []) as r (staging_id, reply_id)
where
    q.staging_id = r.staging_id
    and q.reply_id = r.reply_id
    and not exists (
        select
        from unnest(
            %(kept_staging_ids)s::text [], %(kept_reply_ids)s::bigint [],
            %(kept_positions)s::bigint [], %(kept_rules)s::text []
        ) as k (staging_id, reply_id, position, rule)
        where
            k.staging_id = q.staging_id
            and k.reply_id = q.reply_id
            and k.position = q.position
            and k.rule = q.rule
    )
