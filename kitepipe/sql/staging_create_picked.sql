-- The replies to parse, with their bodies from staged_body.
-- Parameters, lists side by side: $ids, $firsts, $lasts (the window), $settled.
-- Writes the temp table picked; one row is one reply.
create or replace temp table picked as
select
    wanted.reply_id, wanted.window_first, wanted.window_last, wanted.settled_through,
    staged_body.body
from (
    select
        unnest($ids::bigint[]) as reply_id,
        unnest($firsts::date[]) as window_first,
        unnest($lasts::date[]) as window_last,
        unnest($settled::date[]) as settled_through
) as wanted
inner join staged_body on wanted.reply_id = staged_body.reply_id
