-- Makes the tables of a new staging file. Instants are UTC, dates are IST.
-- Bodies stand apart from the rows about them: body_open takes each new reply, and when it has
-- grown to 16 MB it is sealed into a table body_<n> that is never written again. One table of
-- bodies would be quadratic: every checkpoint rewrites its open row group.
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

-- A row of a dump that cannot be an instrument.
create table instrument_quarantine (
    snapshot_id bigint not null,
    rule varchar not null,
    raw varchar not null
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

-- One success: everything about the body but the body.
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
    settled_through date not null
);

create table body_open (reply_id bigint not null, body varchar not null);

-- All bodies; each seal adds its table.
create view body as select reply_id, body from body_open;

create table seal (
    body_table bigint not null,
    first_reply bigint not null,
    last_reply bigint not null
);

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

-- What the warehouse already had of a series when staging had nothing. body is its last session
-- (last_candle) in the form of a reply, so that a re-based history shows itself against it too;
-- both are empty on the rows that do not hold that session.
create table warehouse_coverage (
    instrument_key bigint not null,
    interval varchar not null,
    continuous boolean not null,
    oi boolean not null,
    first_date date not null,
    last_date date not null,
    last_candle date,
    fetched_at timestamp not null,
    body varchar not null
);
