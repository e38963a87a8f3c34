-- All dumps together, in a word: copies of a staging file that took other dumps differ in it.
-- Reads snapshot. One row.
select
    coalesce(
        md5(
            string_agg(
                concat_ws(' ', snapshot_id, taken_at, exchange, sha256), ',' order by snapshot_id
            )
        ),
        ''
    ) as dumps
from snapshot
