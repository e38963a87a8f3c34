-- The dates that were sessions, by what traded on them: the temp table gap_session.
-- A date was one where at least two instruments of the exchange have a candle, and one in ten of
-- those that lived then: one alone may be a stray candle, and of illiquid lists (debt, options) less
-- than a third trades on a day, while on a day without session nobody does. Where only two lived,
-- one is enough; of one alone nothing is missing anyway.
-- Reads gap_day and gap_series. One row a session: exchange, date, number (in order, from 1).
create or replace temp table gap_session as
with
instrument_life as (
    select
        instrument_key, any_value(exchange) as exchange,
        min(first_candle) as first_date, max(end_date) as last_date
    from gap_series
    where first_candle is not null
    group by instrument_key
),
traded as (
    select exchange, date, count(*) as traded
    from (
        select distinct exchange, instrument_key, date
        from gap_day
        inner join gap_series using (series_id)
    )
    group by exchange, date
),
alive as (
    select traded.exchange, traded.date, any_value(traded) as traded, count(*) as alive
    from traded
    inner join instrument_life
        on
            instrument_life.exchange = traded.exchange
            and traded.date between instrument_life.first_date and instrument_life.last_date
    group by traded.exchange, traded.date
)
select exchange, date, row_number() over (partition by exchange order by date) as number
from alive
where traded >= if(alive <= 2, 1, greatest(2, alive / 10))
