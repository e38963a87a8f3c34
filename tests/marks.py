"""Which cases of a table `make test` runs; `make test SLOW=1` and CI run them all."""

from collections.abc import Iterable
from typing import Any

import pytest


def with_quick(cases: Iterable[Any], *quick: int) -> list[Any]:
    """Mark every case as slow but those at the places `quick`."""
    return [
        pytest.param(*_values(case), marks=() if n in quick else pytest.mark.slow)
        for n, case in enumerate(cases)
    ]


def _values(case: object) -> tuple[object, ...]:
    return case if isinstance(case, tuple) else (case,)
