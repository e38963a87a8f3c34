-- Adds the dump in dump_row to `snapshot`; $taken_at is UTC. Gives the new snapshot_id.
insert into snapshot (snapshot_id, taken_at, exchange, sha256, rows)
select
    (select coalesce(max(snapshot_id), 0) + 1 from snapshot),
    $taken_at,
    $exchange,
    $sha256,
    (select count(*) from dump_row)
returning snapshot_id
