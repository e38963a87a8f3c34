-- The replies to parse: what was asked, what they settle, and the runs of dates that each decides
-- (from decides_first[n] to decides_last[n]; no date stands twice in all of them).
-- Parameters, lists side by side: $ids, $firsts, $lasts (the window), $settled, $decides_first and
-- $decides_last (lists of lists). Writes the temp table wanted_reply; one row is one reply.
create or replace temp table wanted_reply as
select
    unnest($ids::bigint[]) as reply_id,
    unnest($firsts::date[]) as window_first,
    unnest($lasts::date[]) as window_last,
    unnest($settled::date[]) as settled_through,
    unnest($decides_first::date[][]) as decides_first,
    unnest($decides_last::date[][]) as decides_last
