-- Quotes NaN and Infinity, which are no JSON: a candle that holds one must not cost its
-- neighbours their place; it ends in quarantine when the reply is loaded.
-- Reads $body. One row: the body, or null where it is no JSON even so.
select case when json_valid(quoted) then quoted end
from (
    select regexp_replace($body, '([\[,:]\s*)(-?(?:NaN|Infinity))', '\1"\2"', 'g') as quoted
)
