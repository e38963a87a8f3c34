-- The windows that were asked in vain and have not been answered since, newest first.
-- One row a window: exchange, tradingsymbol, interval, first and last date, error, instrument_key,
-- continuous.
select
    failed.exchange, failed.tradingsymbol, failed.interval, failed.first_date, failed.last_date,
    failed.error, failed.instrument_key, failed.continuous
from chunk as failed
where
    failed.error is not null
    and not exists (
        from chunk as later
        where
            later.instrument_key = failed.instrument_key
            and later.interval = failed.interval
            and later.continuous = failed.continuous
            and later.chunk_id > failed.chunk_id
            and later.first_date <= failed.first_date
            and later.last_date >= failed.last_date
    )
order by failed.chunk_id desc
