-- plan.history_start as a macro: the first date worth asking, from what is known of day candles
-- (islands as lists of first and last dates, the oldest date with a candle); null: not known yet.
-- 2000 are its EMPTY_DAYS. Where no candle is known the newest island that proves it decides.
create or replace temp macro history_start(firsts, lasts, first_session, earliest) as
case
    when first_session is null then lasts[list_max(list_filter(
        range(1, len(firsts) + 1),
        lambda n: firsts[n] <= earliest or lasts[n] - firsts[n] + 1 >= 2000
    ))]
    when len(list_filter(
        range(1, len(firsts) + 1),
        lambda n:
            first_session between firsts[n] and lasts[n]
            and (firsts[n] <= earliest or first_session - firsts[n] >= 2000)
    )) > 0 then greatest(first_session, earliest)
end
