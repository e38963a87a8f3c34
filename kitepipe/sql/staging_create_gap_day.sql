-- The settled dates on which staged replies have candles: the temp table gap_day.
-- Parameter: $since, the first date of interest, or null. Reads reply, gap_reply and gap_series.
-- One row a reply and date: series_id, rank, date, candles.
create or replace temp table gap_day as
select cast(series_id as integer) as series_id, cast(rank as integer) as rank, date, candles
from (
    select reply_id, unnest(dates) as date, unnest(candles) as candles
    from reply
    where $since is null or last_candle >= $since
)
inner join gap_reply using (reply_id)
inner join gap_series using (instrument_key, interval, continuous)
where date between first_date and gap_reply.last_date and ($since is null or date >= $since)
