-- Makes the tables of a new staging file. Instants are UTC, dates are IST.
-- Bodies stand apart from the rows about them: body_open takes each new reply, and when it has
-- grown to 16 MB it is sealed into body_sealed, whole row groups at a time, which are not written
-- again until they are archived. Bodies put there one by one would be quadratic: every checkpoint rewrites an open row group.
-- Whoever writes the file by other means than kitepipe has DuckDB rewrite them in its own size.
create table setup (
    schema_version integer not null,
    staging_id varchar not null,
    api_root varchar not null,
    created_at timestamp not null
);

-- One instruments dump; exchange is '' for the dump of all exchanges.
create table snapshot (
    snapshot_id bigint not null,
    taken_at timestamp not null,
    exchange varchar not null,
    sha256 varchar not null,
    rows bigint not null
);

-- The dumps as changes from one to the next; instrument_key outlives tokens and symbols.
create table instrument (
    snapshot_id bigint not null,
    instrument_key bigint not null,
    instrument_token bigint not null,
    exchange_token bigint not null,
    exchange varchar not null,
    tradingsymbol varchar not null,
    name varchar not null,
    instrument_type varchar not null,
    segment varchar not null,
    expiry date,
    strike double not null,
    tick_size double not null,
    lot_size bigint not null,
    gone boolean not null
);

-- Continuous futures, each an instrument of its own: exchange and underlying, whatever contract's
-- token it is asked with (that changes at each roll). The key is the first contract's, negative:
-- keys of contracts are positive and are never given again, so it stays for good.
create view continuous_future as
select
    -min(instrument_key) as instrument_key, exchange, name, max(segment) as segment,
    min(since) as since
from (
    select
        instrument_key, instrument.exchange, max_by(name, snapshot_id) as name,
        max(segment) as segment, min(taken_at) as since
    from instrument
    inner join snapshot using (snapshot_id)
    where instrument_type = 'FUT' and instrument.exchange in ('NFO', 'MCX') and not gone
    group by instrument_key, instrument.exchange
)
where name <> ''
group by exchange, name;

-- A row of a dump that cannot be an instrument.
create table instrument_quarantine (
    snapshot_id bigint not null,
    rule varchar not null,
    raw varchar not null
);

-- What left Kite's list before its life was covered, and was named to the user: once for each time.
create table named_loss (
    instrument_key bigint not null,
    interval varchar not null,
    snapshot_id bigint not null
);

-- One window as it was asked; error is null where a reply came.
create table chunk (
    chunk_id bigint not null,
    instrument_key bigint not null,
    instrument_token bigint not null,
    exchange varchar not null,
    tradingsymbol varchar not null,
    snapshot_id bigint not null,
    interval varchar not null,
    first_date date not null,
    last_date date not null,
    oi boolean not null,
    continuous boolean not null,
    epoch timestamp not null,
    asked_at timestamp not null,
    attempts integer not null,
    error varchar
);

-- One success: everything about the body but the body. dates are those with candles, in order, and
-- candles how many each has: from them it is known which days were sessions, and what is missing.
create table reply (
    reply_id bigint not null,
    chunk_id bigint not null,
    sha256 varchar not null,
    bytes bigint not null,
    http_date timestamp,
    fetched_at timestamp not null,
    rows bigint not null,
    first_candle date,
    last_candle date,
    last_settled_candle date,
    settled_through date not null,
    dates date[] not null,
    candles integer[] not null
);

create table body_open (reply_id bigint not null, body varchar not null);

-- first_reply is the first of its seal. Rows without reply_id fill the row groups.
-- zstd: 0.26 of the raw bytes.
create table body_sealed (
    first_reply bigint not null,
    reply_id bigint,
    body varchar using compression zstd
);

-- All bodies that are in the file.
create view body as
select reply_id, body from body_open
union all
select reply_id, body from body_sealed where reply_id is not null;

-- A Parquet file of bodies, by its name in the archive's folder; file_bytes is its size, bytes that
-- of the bodies.
create table archive_file (
    name varchar not null,
    first_reply bigint not null,
    last_reply bigint not null,
    replies bigint not null,
    bytes bigint not null,
    file_bytes bigint not null
);

-- Which file holds the body of a reply; what is not here stands in body_open or body_sealed.
create table archived_body (reply_id bigint not null, name varchar not null);

-- History seen to be on another price base: replies fetched before `epoch` no longer count.
create table rebase (
    instrument_key bigint not null,
    interval varchar not null,
    continuous boolean not null,
    epoch timestamp not null,
    ratio double not null,
    session date not null,
    reply_id bigint not null
);

-- What the warehouse already had of a series when staging had nothing of it; an empty run of dates
-- where that was nothing. body is its last session (last_candle) in the form of a reply, so that a
-- re-based history shows itself against it too; both are empty on rows that do not hold it.
-- first_candle is the first date with a candle that the warehouse had of the series.
create table warehouse_coverage (
    instrument_key bigint not null,
    interval varchar not null,
    continuous boolean not null,
    oi boolean not null,
    first_date date not null,
    last_date date not null,
    first_candle date,
    last_candle date,
    fetched_at timestamp not null,
    body varchar not null
);
