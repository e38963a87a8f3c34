-- Which picked replies are, to the last byte, Kite's plain array form, as staging_plain.py tells:
-- only such a body may be cut at its commas. All other bodies go the typed way.
-- Parameter: $ids. Writes: temp table plain_reply. One row: a reply.
-- The chain: plain_reply, judgement; where there are repetitions, bad or held ones judged_candle,
-- repeated_candle and quarantine; and against what the warehouse has, candle_delta. 8 replies of
-- 15,400 candles on one core: 1.6 M candles a second, reading their bodies included, and 2.1 M for
-- the delta.
create or replace temp table plain_reply as
select unnest($ids::bigint[]) as reply_id
