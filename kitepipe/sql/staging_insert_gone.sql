-- Marks the tokens that were listed before this dump and are not in it. A token that stands in
-- the dump in a bad row is not gone. Parameters: $snapshot_id, $exchange ('' is all).
insert into instrument (
    snapshot_id, instrument_key, instrument_token, exchange_token, exchange, tradingsymbol, name,
    instrument_type, segment, expiry, strike, tick_size, lot_size, gone
)
select
    $snapshot_id, instrument_key, instrument_token, exchange_token, exchange, tradingsymbol, name,
    instrument_type, segment, expiry, strike, tick_size, lot_size, true
from (
    from instrument
    where snapshot_id < $snapshot_id
    qualify row_number() over (
        partition by exchange, instrument_token order by snapshot_id desc, gone
    ) = 1
) as state
where
    not gone
    and ($exchange = '' or exchange = $exchange)
    and not exists (
        from dump_row
        where
            dump_row.instrument_token = state.instrument_token
            and (dump_row.exchange = state.exchange or dump_row.rule is not null)
    )
