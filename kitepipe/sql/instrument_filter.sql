-- Which instruments are wanted: a predicate over exchange, tradingsymbol, instrument_type and
-- segment, for DuckDB and PostgreSQL alike (kitepipe/filters.py puts in each driver's way of
-- writing parameters). Parameters: types, exchanges, segments, symbols (INFY or NSE:INFY; arrays,
-- null: any will do) and pattern (a regular expression from end to end, null: none).
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
)
