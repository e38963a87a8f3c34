"""`python -m tests.bench [--full] [scenario ...]`: measure, and print one table."""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from statistics import median

from tests.bench.fetching import fetch_at_the_limit, fetch_beside_official, fetch_memory
from tests.bench.figures import Figure, table, write_json
from tests.bench.loading import (
    load_changed,
    load_growing,
    load_memory,
    load_new,
    quarantine_memory,
    replay,
)
from tests.bench.lookups import load_nothing, look_up
from tests.bench.peers import load_beside_peers
from tests.bench.planning import plan
from tests.bench.staging import commit_replies
from tests.bench.starting import start
from tests.bench.workplace import FULL, QUICK, Workplace
from tests.servers import UnavailableError

SCENARIOS: dict[str, Callable[[Workplace], Iterator[Figure]]] = {
    "limit": fetch_at_the_limit,
    "official": fetch_beside_official,
    "fetch-memory": fetch_memory,
    "load": load_new,
    "peers": load_beside_peers,
    "growth": load_growing,
    "changed": load_changed,
    "nothing": load_nothing,
    "replay": replay,
    "load-memory": load_memory,
    "quarantine": quarantine_memory,
    "staging": commit_replies,
    "plan": plan,
    "look-up": look_up,
    "start": start,
}


def main() -> int:
    """Measure what the command line names; 1 where a figure is missing or breaks its limit."""
    asked = _arguments()
    os.environ["KITEPIPE_TEST_FSYNC"] = "1"  # a commit that need not reach the disk is no commit
    figures: list[Figure] = []
    missing: list[str] = []
    with Workplace(FULL if asked.full else QUICK, _tell) as workplace:
        for name in asked.scenario or SCENARIOS:
            _tell(f"{name}: {(SCENARIOS[name].__doc__ or '').splitlines()[0]}")
            try:
                for figure in SCENARIOS[name](workplace):
                    figures.append(figure)
                    _tell(f"  {figure.what}: {median(figure.values):,.4g}")
            except (UnavailableError, RuntimeError) as error:
                missing.append(f"NOT MEASURED: {name}: {error}")
        machine = workplace.machine()
    print("\n".join([table(figures, machine), *missing]))
    print(f"written to {write_json(asked.json, figures, machine)}")
    return int(bool(missing) or not all(figure.holds for figure in figures))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--full", action="store_true", help="full size: hours, 40 GB of disk")
    file = Path(tempfile.gettempdir()) / f"kitepipe-bench-{datetime.now():%Y%m%d-%H%M%S}.json"  # noqa: DTZ005
    parser.add_argument("--json", type=Path, default=file, help="where to write the figures")
    parser.add_argument("scenario", nargs="*", help=f"only these: {', '.join(SCENARIOS)}")
    asked = parser.parse_args()
    if unknown := set(asked.scenario) - SCENARIOS.keys():
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    return asked


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
