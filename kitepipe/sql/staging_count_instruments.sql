-- How many instruments are listed now, and when the newest dump was taken (UTC). One row.
select
    (
        select count(*)
        from (
            from instrument
            qualify row_number() over (
                partition by exchange, instrument_token order by snapshot_id desc, gone
            ) = 1
        )
        where not gone
    ),
    (select max(taken_at) from snapshot)
