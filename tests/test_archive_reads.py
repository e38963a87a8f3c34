"""Who is to blame when archived replies cannot be read: the archive, or the staging file."""

from pathlib import Path

import duckdb
import pytest

from kitepipe.errors import ArchiveOutOfReach
from kitepipe.staging import Staging
from kitepipe.staging_replies import select_bodies
from tests.archive_help import archive, files, loaded_hand


@pytest.mark.parametrize("to_blame", ["archive", "staging"])
def test_only_a_file_of_the_archive_is_told_as_out_of_reach(
    to_blame: str, tmp_path: Path, plain_dsn: str
) -> None:
    """A staging file that lacks its column is not: bringing a Parquet file back would not help."""
    hand = loaded_hand(tmp_path, plain_dsn, 12)
    archive(hand)
    (file,) = files(hand)
    with (
        Staging.write(hand.settings.staging, None, hand.settings.archive) as staging,
        staging.cursor() as cursor,
    ):
        if to_blame == "archive":
            file.write_bytes(b"PAR1 and nothing more")
        else:
            cursor.execute("alter table reply rename column sha256 to sha")
        with pytest.raises((ArchiveOutOfReach, duckdb.Error)) as caught:
            select_bodies(cursor, [1])
        assert isinstance(caught.value, ArchiveOutOfReach) == (to_blame == "archive")
