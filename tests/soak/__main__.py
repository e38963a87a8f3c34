"""`python -m tests.soak [--seed N] [--size S] [part ...]`: break kitepipe, and count."""

import argparse
import random
import sys
import time
from collections.abc import Callable

from tests.servers_find import timescale_server
from tests.soak.bytes import bad_bytes, guided_bytes
from tests.soak.database import database_faults
from tests.soak.kills import kills
from tests.soak.kite import kite_faults
from tests.soak.life import Soak

# How often, at size 1: a thousand kills, a hundred thousand replies.
PARTS: dict[str, tuple[Callable[[Soak, int], None], int]] = {
    "kills": (kills, 1000),
    "kite": (kite_faults, 100),
    "database": (database_faults, 100),
    "bytes": (bad_bytes, 100_000),
    "guided": (guided_bytes, 100_000),
}


def main() -> int:
    """Go through what the command line names; 1 where anything was lost or added."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="what to draw")
    parser.add_argument("--size", type=float, default=1.0, help="1: a thousand kills")
    parser.add_argument("part", nargs="*", help=f"only these: {', '.join(PARTS)}")
    asked = parser.parse_args()
    if unknown := set(asked.part) - PARTS.keys():
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    started = time.monotonic()
    with timescale_server(_tell) as server, server.template() as template:
        soak = Soak(asked.seed, template, may_crash=True)
        for name in asked.part or PARTS:
            part, number = PARTS[name]
            _tell(f"{name}: {(part.__doc__ or '').splitlines()[0]}")
            try:
                part(soak, max(1, round(number * asked.size)))
            except Exception as error:  # what was counted until then is told all the same
                soak.differences.append(f"seed {asked.seed}, {name}: {error!r}")
    for what, count in sorted(soak.counts.items()):
        print(f"{what:40} {count:>9,}")
    for difference in soak.differences:
        print(f"DIFFERENCE: {difference}")
    print(f"{'differences found':40} {len(soak.differences):>9,}")
    print(f"seed {asked.seed}, {time.monotonic() - started:,.0f} s")
    return int(bool(soak.differences))


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
