-- The replies of one staging file that this warehouse knows. Reads kite_load_ledger.
-- Parameters: staging_id. One row is one reply_id, in binary.
copy (
    select reply_id from kite_load_ledger where staging_id = %(staging_id)s
) to stdout (format binary)
