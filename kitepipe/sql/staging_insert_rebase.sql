-- Begins a new epoch of a series: replies fetched before $epoch no longer count. Writes one row.
insert into rebase (instrument_key, interval, continuous, epoch, ratio, session, reply_id)
values ($instrument_key, $interval, $continuous, $epoch, $ratio, $session, $reply_id)
