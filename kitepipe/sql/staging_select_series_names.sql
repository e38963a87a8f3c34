-- What each staged series was called when it was last asked, those of probes left out.
-- One row a series: instrument_key, interval, continuous, exchange, tradingsymbol.
select
    instrument_key, interval, continuous,
    arg_max(exchange, chunk_id), arg_max(tradingsymbol, chunk_id)
from chunk
where interval <> 'probe'
group by instrument_key, interval, continuous
