-- The batch_id of each claimed reply. Reads kite_load_ledger.
-- Parameters: staging_ids and reply_ids (arrays, side by side). One row is one reply.
select l.staging_id, l.reply_id, l.batch_id
from unnest(%(staging_ids)s::text [], %(reply_ids)s::bigint []) as k (staging_id, reply_id)
join kite_load_ledger as l on l.staging_id = k.staging_id and l.reply_id = k.reply_id
