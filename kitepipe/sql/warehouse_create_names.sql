-- Where a staging file's instrument names wait to be compared; gone with the transaction.
-- Writes temp table kite_incoming. One row is one name of one instrument, by period.
create temp table kite_incoming (
    instrument_key bigint not null,
    valid_from date not null,
    valid_to date,
    instrument_token bigint not null,
    exchange_token bigint not null,
    exchange text not null,
    tradingsymbol text not null,
    name text not null,
    instrument_type text not null,
    segment text not null,
    expiry date,
    strike double precision not null,
    tick_size double precision not null,
    lot_size bigint not null,
    continuous boolean not null
) on commit drop
