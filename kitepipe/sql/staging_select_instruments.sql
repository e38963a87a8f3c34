-- The instruments that are listed now and wanted, by the predicate of instrument_filter.sql.
-- What expires comes first, the soonest before the rest. One row an instrument: instrument_key,
-- snapshot_id, then the columns of model.Instrument in its order.
select
    instrument_key, snapshot_id, instrument_token, exchange, tradingsymbol, name,
    instrument_type, segment, expiry, strike, exchange_token, tick_size, lot_size
from (
    from instrument
    qualify row_number() over (
        partition by exchange, instrument_token order by snapshot_id desc, gone
    ) = 1
)
where not gone and {predicate}
order by expiry nulls last, exchange, tradingsymbol
