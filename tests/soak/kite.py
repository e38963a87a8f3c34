"""Kite's faults, alone and mixed, at 1 to 50 %: none becomes a success, and none a storm."""

from itertools import pairwise

from kitepipe.sandbox.faults import KINDS, OK, Faults
from kitepipe.sandbox.journal import HISTORICAL
from tests.soak.life import WANTED, Life, Soak, rounds

_SHARES = (0.01, 0.05, 0.2, 0.5)
_LIMIT = 40  # requests a second
_ENDS_THE_RUN = ("expired_token", "permission")
_ENVIRON = {
    "KITEPIPE_RATE_LIMIT": str(_LIMIT),
    "KITEPIPE_MAX_ATTEMPTS": "3",
    "KITEPIPE_TIMEOUT_S": "0.5",
    "KITEPIPE_BACKOFF_BASE_S": "0.01",
    "KITEPIPE_BACKOFF_CAP_S": "0.05",
}


def kite_faults(soak: Soak, number: int) -> None:
    """Run through a mixture of faults, again and again; then without them."""
    rounds(soak, number, "Kite's faults", _suffer, rate_limit=_LIMIT, stall_s=1.0, drip_s=0.02)


def _suffer(life: Life) -> None:
    draw = life.soak.draw
    kinds = [kind for kind in KINDS if kind not in (OK, *_ENDS_THE_RUN)]
    life.box.environ = _ENVIRON
    for _ in range(3):
        chosen = draw.sample(kinds, draw.randint(1, 5))
        share = draw.choice(_SHARES)
        life.kite.faults(Faults(rates=dict.fromkeys(chosen, share / len(chosen))))
        before = len(life.kite.log)
        ended = life.box.kitepipe("run", *WANTED)
        life.expect(ended.code in (0, 3, 11), f"{chosen} at {share} end with {ended.code}", ended)
        log = life.kite.log[before:]
        life.soak.counts.update(f"fault {entry.fault}" for entry in log if entry.fault)
        life.expect(_most_in_a_second(life) <= _LIMIT + 1, f"{chosen}: a storm of requests")
    life.kite.faults(Faults())


def _most_in_a_second(life: Life) -> int:
    received = [entry.received for entry in life.kite.log if entry.kind == HISTORICAL]
    steps = (later - earlier for earlier, later in pairwise(received))
    assert all(step >= 0 for step in steps), "the log is not in order"
    return max(
        (sum(1 for at in received if start <= at < start + 1) for start in received), default=0
    )
