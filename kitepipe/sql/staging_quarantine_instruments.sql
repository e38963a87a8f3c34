-- Keeps the rows of dump_row that are no instruments, with their rule and text.
-- Parameter: $snapshot_id. Writes one row a bad row.
insert into instrument_quarantine (snapshot_id, rule, raw)
select $snapshot_id, rule, raw
from dump_row
where rule is not null
