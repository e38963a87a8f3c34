-- Which instruments are wanted: a predicate over exchange, tradingsymbol, name, instrument_type,
-- segment and expiry, for DuckDB and PostgreSQL alike (kitepipe/filters.py puts in each driver's way of
-- writing parameters). Parameters: types, exchanges, segments, symbols (INFY or NSE:INFY; arrays,
-- null: any will do), pattern (a regular expression from end to end, null: none), expiry_from and
-- expiry_to (dates, null: any; what does not expire always passes), plain_equities (boolean),
-- shard_from and shard_to (hex digits, null: all).
-- A plain equity is a share in its regular series. Kite calls all that is traded for cash EQ, and
-- only symbols tell more: the series stands behind a hyphen, always with two characters, and the
-- regular one (EQ) is not written. Of 9,420 NSE rows of March 2026 these are 2,747: 136 indices
-- are in segment INDICES, and 6,537 have a series: debt (-SG, -GS, -TB, -GB, -N0 to -ZZ), SME (-SM,
-- -ST), trade to trade (-BE, -BZ), warrants (-W1), partly paid (-P1, -E1), trusts (-IV, -RR) ...
-- Hyphens of a company's own (BAJAJ-AUTO, MCDOWELL-N, UMIYA-MRO) have one, three or more characters
-- behind them. ETFs are shares to the dump, and pass.
-- A shard is a range of the md5 of exchange and base symbol, the same for ever and in both engines.
-- The base of a contract is its underlying, that of anything else its symbol less the series in
-- which one share may be traded (see staging_match_instruments.sql): what belongs together stays
-- in one shard. Digits come before letters in every collation, so text orders them as numbers.
(
    (cast({types} as varchar []) is null or instrument_type = any(cast({types} as varchar [])))
    and (cast({exchanges} as varchar []) is null or exchange = any(cast({exchanges} as varchar [])))
    and (cast({segments} as varchar []) is null or segment = any(cast({segments} as varchar [])))
    and (
        cast({symbols} as varchar []) is null
        or tradingsymbol = any(cast({symbols} as varchar []))
        or exchange || ':' || tradingsymbol = any(cast({symbols} as varchar []))
        or (
            cast({pattern} as varchar) is not null
            and exchange || ':' || tradingsymbol ~ cast({pattern} as varchar)
        )
    )
    and coalesce(expiry >= cast({expiry_from} as date), true)
    and coalesce(expiry <= cast({expiry_to} as date), true)
    and (
        not cast({plain_equities} as boolean)
        or (
            instrument_type = 'EQ'
            and segment in ('NSE', 'BSE')
            and left(right(tradingsymbol, 3), 1) <> '-'
        )
    )
    and (
        cast({shard_from} as varchar) is null
        or md5(
            exchange || ':' || case
                when instrument_type in ('FUT', 'CE', 'PE') and name <> '' then name
                else regexp_replace(tradingsymbol, '-(BE|BZ|SM|ST|SZ)$', '')
            end
        ) between cast({shard_from} as varchar) and cast({shard_to} as varchar)
    )
)
