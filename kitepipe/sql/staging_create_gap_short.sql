-- The temp table gap_short, empty: see staging_insert_gap_short.sql.
create or replace temp table gap_short (
    series_id integer, date date, needed integer, rank integer,
    like_series integer, like_date date, like_rank integer
)
