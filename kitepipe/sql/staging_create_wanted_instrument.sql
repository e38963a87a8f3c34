-- The instruments that are listed now and wanted, by the predicate of instrument_filter.sql, into
-- the temp table wanted_instrument. Parameter: $continuous, whether continuous futures stand for
-- the day candles of their contracts (staging_insert_wanted_futures.sql adds them).
-- One row an instrument: its place in the order (what expires comes first, the soonest before the
-- rest), whether it is continuous, whether its day candles are asked as those of its continuous
-- future, instrument_key, snapshot_id, then the columns of model.Instrument in its order.
create or replace temp table wanted_instrument as
select
    row_number() over (order by expiry nulls last, exchange, tradingsymbol) as place,
    false as continuous,
    $continuous and instrument_type = 'FUT' and exchange in ('NFO', 'MCX') and expiry is not null
    and name <> '' as stitched,
    instrument_key, snapshot_id, instrument_token, exchange, tradingsymbol, name,
    instrument_type, segment, expiry, strike, exchange_token, tick_size, lot_size
from (
    from instrument
    qualify row_number() over (
        partition by exchange, instrument_token order by snapshot_id desc, gone
    ) = 1
)
where not gone and {predicate}
