-- The setup row. Reads kite_setup. One row: the schema's version, and the instant of
-- `replay --as-of` that filled this database (null: filled by load).
select schema_version, as_of from kite_setup
