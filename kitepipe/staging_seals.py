"""Sealed tables of a staging file: once one has bodies, it is never written again.

The functions are to be called within a transaction.
"""

from kitepipe.sql import load
from kitepipe.staging import Cursor

# Tables are made ahead: with each the view of all bodies is another one, and to make that takes
# 0.1 s and 60 MB where there are 2,300 of them, for 36,500 replies of 1 MB.
_AHEAD = 64


def seal_open_bodies(cursor: Cursor) -> None:
    """Move the open bodies into a sealed table."""
    number = vacant_table(cursor)
    names = {"table": f"body_{number}", "source": "body_open"}
    cursor.execute(load("staging_insert_sealed_bodies").format(**names), {"but": []})
    cursor.execute(load("staging_insert_seal"), {"body_table": number})
    cursor.execute("drop table body_open")
    cursor.execute("create table body_open (reply_id bigint not null, body varchar not null)")


def vacant_table(cursor: Cursor) -> int:
    """Return the number of a table without bodies; where there is none, some are made."""
    numbers, vacant = _numbers(cursor)
    if not vacant:
        first = max(numbers, default=0) + 1
        vacant = list(range(first, first + _AHEAD))
        for number in vacant:
            cursor.execute(load("staging_create_body_table").format(table=f"body_{number}"))
        show_bodies(cursor)
    return vacant[0]


def show_bodies(cursor: Cursor) -> None:
    """Make the view of all bodies in the file, for people who open it."""
    numbers, _ = _numbers(cursor)
    names = ["body_open", *(f"body_{number}" for number in numbers)]
    parts = " union all ".join(
        f"select reply_id, body from {name} where reply_id is not null" for name in names
    )
    cursor.execute(f"create or replace view body as {parts}")


def _numbers(cursor: Cursor) -> tuple[list[int], list[int]]:
    """Return the numbers of all sealed tables, and of those that are still without bodies."""
    rows = cursor.execute(load("staging_select_numbered_tables")).fetchall()
    return [number for number, _ in rows], [number for number, is_vacant in rows if is_vacant]
