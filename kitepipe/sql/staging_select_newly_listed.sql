-- The instruments that came to an exchange's list after the first dump of it that is staged.
-- One row: an instrument_key.
select instrument_key
from (
    select instrument_key, exchange, min(snapshot_id) as since
    from instrument
    group by instrument_key, exchange
    qualify since > min(since) over (partition by exchange)
)
