-- Remembers where the candles come from, and that `replay --as-of` filled this database; what is
-- equal is not written. Writes kite_setup. Parameters: source, as_of (null: filled by load). One row.
update kite_setup set source = %(source)s, as_of = %(as_of)s
where source is distinct from %(source)s or as_of is distinct from %(as_of)s
