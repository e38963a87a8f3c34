-- As of which dumps the instruments of a staging file stand here.
-- Reads kite_dumps. Parameter: staging_id. One row, or none.
select dumps from kite_dumps where staging_id = %(staging_id)s
