-- The dates on which anything of an exchange traded, from $since on, as far as replies tell.
-- One row an exchange: exchange, the last date that a reply settles, the dates (null: none).
select
    exchange,
    max(least(last_date, settled_through)),
    list(distinct date) filter (where date is not null)
from (
    select exchange, last_date, settled_through, unnest(if(len(dates) > 0, dates, [null])) as date
    from reply
    inner join chunk using (chunk_id)
    where last_date >= $since
)
where date is null or date >= $since
group by exchange
