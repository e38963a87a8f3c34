-- Which tokens' rows staging_select_names.sql means: of any that an instrument of `keys` ever had.
(instrument.exchange, instrument_token) in (
    select distinct (exchange, instrument_token)
    from instrument
    where instrument_key in (select unnest($keys::bigint []))
)
