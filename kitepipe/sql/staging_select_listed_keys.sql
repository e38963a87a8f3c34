-- Which instruments are listed now. Reads instrument. One row is one key.
select distinct instrument_key
from (
    from instrument
    qualify row_number() over (
        partition by exchange, instrument_token order by snapshot_id desc, gone
    ) = 1
)
where not gone
