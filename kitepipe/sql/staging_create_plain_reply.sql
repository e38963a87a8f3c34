-- Which picked replies are, to the last byte, Kite's plain array form, as staging_plain.py tells:
-- only such a body may be cut at its commas. All other bodies go the typed way.
-- Parameter: $ids. Writes: temp table plain_reply. One row: a reply.
-- The chain: plain_reply, any_odd; where there are repetitions, bad, held or superseded ones
-- judgement, judged_candle, repeated_candle and quarantine; and against what the warehouse has,
-- candle_delta. Replies of 15,400 candles, 4 at once, on one core: 1.5 M candles a second, reading
-- their bodies included; 8 at once for the delta: 2.1 M.
create or replace temp table plain_reply as
select unnest($ids::bigint[]) as reply_id
