-- Notes that the instruments of a staging file stand here, as of certain dumps.
-- Writes kite_dumps. Parameters: staging_id, dumps. No row.
insert into kite_dumps (staging_id, dumps) values (%(staging_id)s, %(dumps)s)
on conflict (staging_id) do update set dumps = excluded.dumps
where kite_dumps.dumps <> excluded.dumps
