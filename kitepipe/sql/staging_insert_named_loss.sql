-- Remembers that a loss was named, so that it is named once. Writes one row.
insert into named_loss (instrument_key, interval, snapshot_id)
values ($instrument_key, $interval, $snapshot_id)
