-- Instants to delete into their waiting table.
-- Writes kite_gone. Input: binary rows of warehouse_copy.instant_stream.
copy kite_gone (date) from stdin (format binary)
