"""Claims about seals: whole row groups, packs that are even."""

from pathlib import Path

import pytest

from kitepipe.staging import Cursor, Staging
from kitepipe.staging_open import ROW_GROUP
from kitepipe.staging_replies import seal_bodies, select_bodies
from tests.staging_help import API_ROOT, row_groups, stored


def _read(cursor: Cursor, last: int) -> list[tuple[int, str]]:
    """Return what is found of the bodies 1 to `last`."""
    select_bodies(cursor, range(1, last + 1))
    return cursor.execute("select reply_id, body from staged_body order by 1").fetchall()


@pytest.mark.parametrize(
    ("bodies", "size"), [(1, 50), (2, 0), (3, 300_000), (500, 900), (40_000, 20)]
)
def test_a_seal_fills_whole_row_groups(tmp_path: Path, bodies: int, size: int) -> None:
    """Whatever the size of replies: none is left open, and a pack has a 16th of the bytes."""
    path = tmp_path / "kitepipe.duckdb"
    with Staging.write(path, API_ROOT) as staging, staging.cursor() as cursor:
        for start in (0, bodies, 2 * bodies):
            cursor.execute(
                "create or replace temp table made as "
                "select ? + n as reply_id, repeat((n % 7)::varchar, ?) as body "
                "from range(?) t(n)",
                [start + 1, size, bodies],
            )
            seal_bodies(cursor, "made")
            cursor.execute("checkpoint")
        everything = _read(cursor, 3 * bodies)
    assert everything == [
        (start + n + 1, f"{n % 7}" * size)
        for start in (0, bodies, 2 * bodies)
        for n in range(bodies)
    ]
    assert row_groups(path) == {ROW_GROUP}
    packs = stored(path, "select sum(strlen(body)) from body_sealed group by rowid // 2048")
    assert max(packed or 0 for (packed,) in packs) <= bodies * size / 16 + size


def test_an_empty_body_at_the_end_leaves_no_row_group_open(tmp_path: Path) -> None:
    """It has no bytes, and a place in a pack all the same."""
    path = tmp_path / "kitepipe.duckdb"
    with Staging.write(path, API_ROOT) as staging, staging.cursor() as cursor:
        cursor.execute(
            "create temp table made as from (values (1, 'abc'), (2, '')) t(reply_id, body)"
        )
        seal_bodies(cursor, "made")
        assert _read(cursor, 2) == [(1, "abc"), (2, "")]
    assert row_groups(path) == {ROW_GROUP}
