-- Where changed candles wait for their upsert: those of the group in hand, no others.
-- Writes temp table kite_changed. One row is one candle of the series in hand.
create temp table if not exists kite_changed (
    date timestamptz not null,
    open double precision not null,
    high double precision not null,
    low double precision not null,
    close double precision not null,
    volume bigint not null,
    oi bigint,
    batch_id bigint not null
) on commit delete rows;
truncate kite_changed
