"""A little of `make soak` in CI: fifty kills, Kite's and the database's faults, damaged replies."""

from collections.abc import Callable, Iterator

import pytest

from tests.servers import Template
from tests.soak.bytes import bad_bytes
from tests.soak.database import database_faults
from tests.soak.kills import killed, kills
from tests.soak.kite import kite_faults
from tests.soak.life import Soak

pytestmark = pytest.mark.faults

Part = Callable[[Soak, int], None]


@pytest.fixture(scope="module")
def soak(timescale_template: Template) -> Soak:
    """What was undisturbed, once for all."""
    return Soak(0, timescale_template)


@pytest.fixture
def found(soak: Soak) -> Iterator[Callable[[Part, int, int], list[str]]]:
    """Go through a part from a seed; gives what was lost or added."""

    def go(part: Part, seed: int, number: int) -> list[str]:
        soak.begin(seed)
        part(soak, number)
        return soak.differences

    yield go
    soak.differences = []


@pytest.mark.parametrize("seed", range(5))
def test_kills_at_random_instants_lose_nothing(
    seed: int, found: Callable[[Part, int, int], list[str]], soak: Soak
) -> None:
    """Ten and more, of every verb that writes, on one staging file and one database at a time."""
    assert found(kills, seed, 10) == []
    assert killed(soak) >= 10


@pytest.mark.parametrize("seed", range(4))
def test_faults_of_kite_end_as_a_run_without_them(
    seed: int, found: Callable[[Part, int, int], list[str]]
) -> None:
    """Alone and mixed, at 1 to 50 %; requests stay under the limit."""
    assert found(kite_faults, seed, 1) == []


@pytest.mark.parametrize("seed", range(4))
def test_faults_of_the_database_end_as_a_run_without_them(
    seed: int, found: Callable[[Part, int, int], list[str]]
) -> None:
    """Cut, blocked, slow, read-only, written by another, at random instants of a run."""
    assert found(database_faults, seed, 1) == []


def test_damaged_replies_have_a_verdict_for_each_candle(
    found: Callable[[Part, int, int], list[str]], soak: Soak
) -> None:
    """None passes for what it is not, none breaks it, and both ways to parse agree."""
    assert found(bad_bytes, 0, 500) == []
    assert min(soak.counts["replies refused"], soak.counts["replies judged"]) > 50
