-- Names that became part of another period.
-- Reads kite_merged, kite_untold. Writes kite_instrument_names. One row is one name.
delete from kite_instrument_names as w
where
    w.instrument_id in (select instrument_id from kite_untold)
    and not exists (
        select
        from kite_merged as n
        where n.instrument_id = w.instrument_id and n.valid_from = w.valid_from
    )
