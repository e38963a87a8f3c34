-- The id of one instrument by kitepipe's rule of identity (see warehouse_match_instruments).
-- Reads kite_instruments, kite_instrument_names. Parameters: exchange, tradingsymbol, expiry,
-- strike, instrument_type, instrument_token. One row, the best match first; or none.
select i.instrument_id
from kite_instruments as i
left join kite_instrument_names as w
    on
        w.instrument_id = i.instrument_id
        and w.exchange = %(exchange)s
        and w.instrument_token = %(instrument_token)s
where
    not i.continuous
    and case
        when %(expiry)s::date is null then i.expiry is null and w.instrument_id is not null
        else
            i.exchange = %(exchange)s
            and i.tradingsymbol = %(tradingsymbol)s
            and i.expiry = %(expiry)s::date
            and i.strike = %(strike)s
            and i.instrument_type = %(instrument_type)s
    end
order by w.valid_to desc nulls first, w.valid_from desc
limit 1
