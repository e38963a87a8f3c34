-- Makes the tables about archived bodies, and the file one of version 3, which a kitepipe that
-- knows nothing of archives refuses. Parameters: none.
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

-- Which file holds the body of a reply; what is not here stands in a table of bodies.
create table archived_body (reply_id bigint not null, name varchar not null);

update setup set schema_version = 3;
