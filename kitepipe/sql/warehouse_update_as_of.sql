-- Remembers that `replay --as-of` filled this database; an equal instant is not written.
-- Writes kite_setup. Parameters: as_of (null: filled by load, with everything). One row.
update kite_setup set as_of = %(as_of)s where as_of is distinct from %(as_of)s
