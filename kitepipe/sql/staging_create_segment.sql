-- Which dates each picked reply decides; no date stands twice.
-- Parameters, lists side by side: $ids, $firsts, $lasts.
-- Writes the temp table segment; one row is a run of dates.
create or replace temp table segment as
select
    unnest($ids::bigint[]) as reply_id,
    unnest($firsts::date[]) as first,
    unnest($lasts::date[]) as last
