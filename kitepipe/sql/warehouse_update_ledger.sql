-- Adds to each reply's counts what this transaction did; what did nothing new writes nothing.
-- Writes kite_load_ledger. Parameters: eight arrays, side by side: batch_ids, fresh (claimed
-- for the first time), new, changed, gone, equal, held, quarantined. One row is one reply.
update kite_load_ledger as l set
    candles_new = l.candles_new + c.new,
    candles_changed = l.candles_changed + c.changed,
    candles_gone = l.candles_gone + c.gone,
    candles_equal = c.equal,
    candles_held = c.held,
    candles_quarantined = c.quarantined,
    loaded_at = now()
from unnest(
    %(batch_ids)s::bigint [], %(fresh)s::boolean [], %(new)s::bigint [], %(changed)s::bigint [],
    %(gone)s::bigint [], %(equal)s::bigint [], %(held)s::bigint [],
    %(quarantined)s::bigint []
) as c (batch_id, fresh, new, changed, gone, equal, held, quarantined)
where
    l.batch_id = c.batch_id
    and (
        c.new + c.changed + c.gone > 0
        or c.fresh and c.equal > 0
        or l.candles_held <> c.held
        or l.candles_quarantined <> c.quarantined
    )
