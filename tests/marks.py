"""How much of a test `make test` runs; `make test SLOW=1` and CI run all of it.

Each test runs in both: here with one case of a long table, and with fewer examples.
"""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import settings


def with_quick(cases: Iterable[Any], *quick: int) -> list[Any]:
    """Mark every case as slow but those at the places `quick`."""
    return [
        pytest.param(*_values(case), marks=() if n in quick else pytest.mark.slow)
        for n, case in enumerate(cases)
    ]


def examples(whole: int) -> int:
    """Return how many examples to try where all would be `whole`: the profile's share of them."""
    profile = settings()
    return max(1, whole * profile.max_examples // settings.get_profile("whole").max_examples)


def _values(case: object) -> tuple[object, ...]:
    return case if isinstance(case, tuple) else (case,)
