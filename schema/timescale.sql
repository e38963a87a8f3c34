-- The warehouse of kitepipe. Idempotent: apply it with `kitepipe schema`, or with psql -f.
-- Serves PostgreSQL 14 or newer with TimescaleDB 2.13 or newer (candles in a hypertable) and
-- without it (an ordinary table). Columnstore is added by `kitepipe schema --columnstore`.
-- Instants are timestamptz; columns named *_date on other tables than the candles' are IST dates.

do $$
begin
    if exists (select from pg_catalog.pg_extension where extname = 'timescaledb')
        or not exists (select from pg_catalog.pg_available_extensions where name = 'timescaledb')
    then
        return;
    end if;
    -- Creating it where the library is not preloaded would end the session (FATAL), so ask first:
    -- the loader alone defines this setting.
    if current_setting('timescaledb.max_background_workers', true) is null then
        raise warning 'kitepipe: TimescaleDB is installed but not preloaded; add it to '
            'shared_preload_libraries, restart, and apply the schema again for a hypertable';
        return;
    end if;
    begin
        create extension timescaledb;
    exception when insufficient_privilege then
        raise warning 'kitepipe: % may not create the extension timescaledb; let the owner of '
            'the database run: create extension timescaledb', current_user;
    end;
end
$$;

do $$
begin
    if to_regtype('kite_candle_interval') is null then
        create type kite_candle_interval as enum (
            'minute', '3minute', '5minute', '10minute', '15minute', '30minute', '60minute', 'day'
        );
    end if;
end
$$;

-- One row: the version of these tables, the instant of `replay --as-of` that filled them, and
-- where their candles came from (any port of the machine itself is one source: a sandbox).
create table if not exists kite_setup (
    only_row boolean primary key default true check (only_row),
    schema_version integer not null,
    as_of timestamptz,
    source text
);

-- One row is one instrument under its newest name. instrument_id outlives tokens and symbols;
-- a contract is its exchange, symbol, expiry, strike and type, because tokens are used again.
-- continuous: the stitched series of a future, named NIFTY-CONT. It is its exchange and name, and
-- bears no token (0): the contract with which it is asked changes at each roll.
create table if not exists kite_instruments (
    instrument_id integer primary key,
    exchange text not null,
    tradingsymbol text not null,
    name text not null,
    instrument_type text not null,
    segment text not null,
    expiry date,
    strike double precision not null,
    tick_size double precision not null,
    lot_size bigint not null,
    instrument_token bigint not null,
    exchange_token bigint not null,
    continuous boolean not null,
    named_from date not null
);

create unique index if not exists kite_instruments_contract
    on kite_instruments (exchange, tradingsymbol, expiry, strike, instrument_type, continuous)
    where expiry is not null;

create unique index if not exists kite_instruments_continuous
    on kite_instruments (exchange, name) where continuous and expiry is null;

create index if not exists kite_instruments_symbol on kite_instruments (tradingsymbol, exchange);

-- One row is one name (token and symbol) of an instrument, from valid_from until before valid_to.
create table if not exists kite_instrument_names (
    instrument_id integer not null references kite_instruments,
    valid_from date not null,
    valid_to date,
    exchange text not null,
    tradingsymbol text not null,
    instrument_token bigint not null,
    exchange_token bigint not null,
    primary key (instrument_id, valid_from)
);

create index if not exists kite_instrument_names_token
    on kite_instrument_names (instrument_token, exchange);

-- One row is one staging file whose instruments stand here, as of the dumps that it had then.
create table if not exists kite_dumps (
    staging_id text primary key,
    dumps text not null
);

-- One row is one candle; date is its open. A day candle stands at 00:00 IST of its date.
-- No second index: the key serves every question that starts with an instrument.
create table if not exists kite_ohlcv_historic (
    instrument_id integer not null,
    candle_interval kite_candle_interval not null,
    date timestamptz not null,
    open double precision not null,
    high double precision not null,
    low double precision not null,
    close double precision not null,
    volume bigint not null,
    oi bigint,
    batch_id bigint not null,
    primary key (instrument_id, candle_interval, date)
);

do $$
declare
    home name;
begin
    select n.nspname into home
    from pg_catalog.pg_extension as e
    join pg_catalog.pg_namespace as n on n.oid = e.extnamespace
    where e.extname = 'timescaledb';
    if home is null then
        return;
    end if;
    if exists (
        select
        from timescaledb_information.hypertables as h
        where format('%I.%I', h.hypertable_schema, h.hypertable_name)::regclass
            = 'kite_ohlcv_historic'::regclass
    ) then
        return;
    end if;
    if exists (select from kite_ohlcv_historic) then
        raise warning 'kitepipe: kite_ohlcv_historic already holds candles in an ordinary table; '
            'it stays one. To have a hypertable: load into a new database';
        return;
    end if;
    -- 3 months: max(date) of one instrument since 1995 takes 14 ms (40 ms with 1 month), and a
    -- load is nearly as fast as with a year.
    execute format(
        'select %1$I.create_hypertable(''kite_ohlcv_historic'', '
        '%1$I.by_range(''date'', interval ''3 months''), create_default_indexes => false)',
        home
    );
end
$$;

-- One row is what is known of one instrument at one interval, kept in each load's transaction.
-- epoch: replies fetched before it no longer count (1970-01-01: history was never re-based).
create table if not exists kite_series (
    instrument_id integer not null references kite_instruments,
    candle_interval kite_candle_interval not null,
    first_candle timestamptz,
    last_candle timestamptz,
    candles bigint not null,
    epoch timestamptz not null,
    last_success timestamptz,
    primary key (instrument_id, candle_interval)
);

-- One row is one reply that was loaded: window_* as it was asked, first_date to last_date the
-- part that it settled (null: it decides nothing), and what became of its candles.
create table if not exists kite_load_ledger (
    batch_id bigint generated by default as identity unique,
    staging_id text not null,
    reply_id bigint not null,
    instrument_id integer not null references kite_instruments,
    candle_interval kite_candle_interval not null,
    sha256 text not null,
    window_first date not null,
    window_last date not null,
    fetched_at timestamptz not null,
    epoch timestamptz not null,
    first_date date,
    last_date date,
    candles_new bigint not null default 0,
    candles_changed bigint not null default 0,
    candles_gone bigint not null default 0,
    candles_equal bigint not null default 0,
    candles_held bigint not null default 0,
    candles_quarantined bigint not null default 0,
    loaded_at timestamptz not null default now(),
    primary key (staging_id, reply_id)
);

create index if not exists kite_load_ledger_series
    on kite_load_ledger (instrument_id, candle_interval);

-- One row is one candle that broke a rule of data: position counts from 0 in its reply, trade_date
-- is its IST date (null: unknown, or none that was asked for). It stands here as long as no newer
-- reply decides its date; the raw text stays in staging, the reply in the ledger.
create table if not exists kite_quarantine (
    staging_id text not null,
    reply_id bigint not null,
    position bigint not null,
    rule text not null,
    raw text not null,
    trade_date date,
    quarantined_at timestamptz not null default now(),
    primary key (staging_id, reply_id, position, rule)
);

-- One row is one time that Kite was seen to have re-based a series: prices fetched from epoch on are
-- `ratio` times those fetched before, as both showed them on `session`. The table stands on
-- that base once kite_series.epoch has come to it.
create table if not exists kite_rebases (
    instrument_id integer not null references kite_instruments,
    candle_interval kite_candle_interval not null,
    epoch timestamptz not null,
    ratio double precision not null,
    session date not null,
    primary key (instrument_id, candle_interval, epoch)
);

-- One row is one candle under its instrument's newest name; trade_date is IST whatever the
-- session's time zone. continuous: the stitched series of a future, not the contract itself.
create or replace view kite_ohlcv as
select
    i.exchange,
    i.tradingsymbol,
    i.instrument_token,
    i.instrument_type,
    h.candle_interval,
    h.date,
    (h.date at time zone 'Asia/Kolkata')::date as trade_date,
    h.open,
    h.high,
    h.low,
    h.close,
    h.volume,
    h.oi,
    i.continuous
from kite_ohlcv_historic as h
join kite_instruments as i on i.instrument_id = h.instrument_id;

insert into kite_setup (schema_version) values (1) on conflict (only_row) do nothing;
