-- The matched instruments of which a name is told that their stored names do not say already.
-- A period says nothing new inside a stored one of that name: with the same end, an earlier one, or
-- none though the stored one ended (a staging file that was no longer fed).
-- Reads kite_incoming, kite_match, kite_instrument_names. Writes temp table kite_untold.
create temp table kite_untold on commit drop as
select distinct m.instrument_id
from kite_incoming as k
join kite_match as m on m.instrument_key = k.instrument_key
left join kite_instrument_names as w
    on
        w.instrument_id = m.instrument_id
        and w.instrument_token = k.instrument_token
        and w.exchange = k.exchange
        and w.tradingsymbol = k.tradingsymbol
        and w.exchange_token = k.exchange_token
        and w.valid_from <= k.valid_from
        and (
            w.valid_to is not distinct from k.valid_to
            or k.valid_to <= w.valid_to
            or (k.valid_to is null and k.valid_from < w.valid_to)
        )
where w.instrument_id is null
