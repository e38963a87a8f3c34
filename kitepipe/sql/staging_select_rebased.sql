-- The series that were seen re-based, oldest first, under the symbol of the reply that showed it.
-- One row a rebase: exchange, tradingsymbol, interval, ratio (new over old prices), session, epoch (UTC).
select chunk.exchange, chunk.tradingsymbol, rebase.interval, rebase.ratio, rebase.session,
    rebase.epoch
from rebase
inner join reply using (reply_id)
inner join chunk using (chunk_id)
order by rebase.epoch
