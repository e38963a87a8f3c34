-- Every name that an instrument has had, by period: valid_from is the IST date of the dump that
-- first showed it (a dump is made about 08:30 IST), valid_to that of the dump that ended it, null
-- while it holds. All rows of a token are `meant`, or none: the next instrument that has it ends a
-- name. Reads instrument, snapshot. One row a name.
select
    instrument_key, valid_from, valid_to, instrument_token, exchange_token, exchange,
    tradingsymbol, name, instrument_type, segment, expiry, strike, tick_size, lot_size,
    false as continuous
from (
    select
        instrument.*,
        cast(taken_at + interval '5 hours 30 minutes' - interval '8 hours 30 minutes' as date)
            as valid_from,
        lead(
            cast(taken_at + interval '5 hours 30 minutes' - interval '8 hours 30 minutes' as date)
        ) over (
            partition by instrument.exchange, instrument_token order by snapshot_id, gone desc
        ) as valid_to
    from instrument
    inner join snapshot using (snapshot_id)
    where {meant}
)
where not gone
order by instrument_key, valid_from
