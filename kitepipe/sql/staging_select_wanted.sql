-- All that is wanted, in order. Reads the temp table wanted_instrument.
-- One row an instrument: continuous, stitched, instrument_key, snapshot_id, then the columns of
-- model.Instrument in its order.
select * exclude (place)
from wanted_instrument
order by place
