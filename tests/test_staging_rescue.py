"""A staging file with damaged bytes: told as such, and what can be read of it is saved."""

import random
from pathlib import Path

import pytest

from kitepipe import pipeline
from kitepipe.config import Settings
from kitepipe.errors import StagingError, UsageError
from kitepipe.model import Window
from kitepipe.progress import Silent
from kitepipe.staging import Staging
from tests.load_help import API_ROOT, Hand, candle, day
from tests.staging_help import body, commit, numbered, stored

REPLIES = 60


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty replies of 100 KB, in a dozen sealed tables and an open one."""
    path = tmp_path_factory.mktemp("whole") / "a.duckdb"
    hand = Hand(path, "", ("INFY", "SBIN", "TCS"))
    with Staging.write(path, API_ROOT) as staging, numbered(staging, 500_000) as writer:
        for number in range(REPLIES):
            noise = random.Random(number).randbytes(50_000).hex()
            on = day(number)
            series = hand.series(staging, hand.symbols[number % 3])
            commit(writer, series, Window(on, on), body([candle(on), noise]))
    return path


def _settings(path: Path) -> Settings:
    return Settings(api_root=API_ROOT, staging=path)


def _bodies(path: Path) -> dict[int, str]:
    return dict(stored(path, "select reply_id, body from reply join body using (reply_id)"))


def _damaged(whole: Path, folder: Path, seed: int) -> Path:
    """Return a copy in which some bytes somewhere behind the headers are others."""
    draw = random.Random(seed)
    data = bytearray(whole.read_bytes())
    for _ in range(draw.randint(1, 3)):
        at = draw.randrange(3 * 4096, len(data) - 64)
        data[at : at + 64] = draw.randbytes(64)
    path = folder / "a.duckdb"
    path.write_bytes(data)
    return path


def test_a_file_without_damage_is_rescued_whole(whole: Path, tmp_path: Path) -> None:
    """Nothing is lost, and it can take the other's place."""
    report = pipeline.rescue(_settings(whole), tmp_path / "b.duckdb", Silent())
    assert (report.replies, report.failures, report.exit_code) == (REPLIES, [], 0)
    assert _bodies(tmp_path / "b.duckdb") == _bodies(whole)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_bytes_are_damaged_what_can_be_read_is_saved(
    seed: int, whole: Path, tmp_path: Path
) -> None:
    """Every reply saved is what Kite sent; the rest is lost with its row, or nothing is told."""
    path = _damaged(whole, tmp_path, seed)
    before, everything = path.read_bytes(), _bodies(whole)
    target = tmp_path / "b.duckdb"
    try:
        report = pipeline.rescue(_settings(path), target, Silent())
    except StagingError:  # what all else hangs on cannot be read
        assert not target.exists()
    else:
        saved = _bodies(target)
        assert saved.items() <= everything.items()
        assert stored(target, "select count(*) from reply") == [(len(saved),)]
        assert (report.replies, report.exit_code) == (len(saved), 3 * (len(saved) < REPLIES))
        pipeline.compact(_settings(target), Silent())
    assert path.read_bytes() == before
    assert list(tmp_path.glob("*.new")) == []


def test_a_rescue_writes_over_nothing(whole: Path, tmp_path: Path) -> None:
    """A file that is there is refused (exit 2)."""
    (tmp_path / "b.duckdb").write_text("mine")
    with pytest.raises(UsageError, match="is there already; name a new file"):
        pipeline.rescue(_settings(whole), tmp_path / "b.duckdb", Silent())
    assert (tmp_path / "b.duckdb").read_text() == "mine"


def test_a_damaged_body_costs_its_neighbours_at_most(whole: Path, tmp_path: Path) -> None:
    """Bytes in four places amid the file: what is packed with it is lost, the rest is saved."""
    data = bytearray(whole.read_bytes())
    for tenth in (3, 4, 5, 6):  # bodies are most of the file; some of it may be free
        at = len(data) * tenth // 10
        data[at : at + 64] = bytes(64)
    (tmp_path / "a.duckdb").write_bytes(data)
    report = pipeline.rescue(_settings(tmp_path / "a.duckdb"), tmp_path / "b.duckdb", Silent())
    assert REPLIES - 4 * 5 <= report.replies < REPLIES
    assert report.failures[0].why.endswith("fetch asks for them again")
