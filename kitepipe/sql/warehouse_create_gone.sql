-- Where the instants of candles to delete wait: those of the group in hand, no others.
-- Writes temp table kite_gone. One row is one instant of the series in hand.
create temp table if not exists kite_gone (date timestamptz not null) on commit delete rows;
truncate kite_gone
