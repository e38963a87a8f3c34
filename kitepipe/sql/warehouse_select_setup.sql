-- The setup row. Reads kite_setup. One row: the schema's version, the instant of
-- `replay --as-of` that filled this database (null: filled by load), and where its candles came
-- from (null: nothing was loaded).
select schema_version, as_of, source from kite_setup
