-- Whether anything may become a candidate of staging_create_gap_candidate.sql, which takes 6 of 36 ms where
-- there is none. Reads gap_missing, gap_short, gap_reply, gap_series. One row, or none.
select 1 from gap_missing
union all
select 1 from gap_short
union all
select 1
from gap_reply
inner join gap_series using (instrument_key, interval, continuous)
where
    wanted and rows = 0
    and least(last_date, end_date) - greatest(gap_reply.first_date, gap_series.first_candle + 1) >= 6
limit 1
