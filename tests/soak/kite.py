"""Kite's faults, alone and mixed, at 1 to 50 %: none becomes a success, and none a storm."""

import hashlib
import time
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from threading import Thread

import requests

from kitepipe.sandbox.faults import KINDS, OK, Faults
from kitepipe.sandbox.journal import HISTORICAL
from tests.box_help import ended
from tests.sandbox_asking import NOW
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
    """Run through a mixture of faults, again and again, and lose the session; then without them."""
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
        last = life.box.kitepipe("run", *WANTED)
        life.expect(last.code in (0, 3, 11), f"{chosen} at {share} end with {last.code}", last)
        log = life.kite.log[before:]
        life.soak.counts.update(f"fault {entry.fault}" for entry in log if entry.fault)
        life.expect(_most_in_a_second(life) <= _LIMIT + 1, f"{chosen}: a storm of requests")
    life.kite.faults(Faults())
    kind = draw.choice(list(_ENDS))
    with life.box.started("run", *WANTED, "--refetch") as process:
        time.sleep(draw.uniform(0.3, 1.2))
        trouble = Thread(target=_ENDS[kind], args=(life,))
        trouble.start()
        last = ended(process)
        trouble.join()
    life.soak.counts[kind if last.code == 10 else "runs over before that"] += 1
    life.expect(last.code in (0, 10), f"{kind} ends with {last.code}", last)
    life.kite.faults(Faults())
    life.kite.set_now(NOW)
    life.box.environ = {**_ENVIRON, "KITEPIPE_ACCESS_TOKEN": _login(life)}


def _login(life: Life) -> str:
    """Log in anew, which kills the token of before, and return the new one."""
    options, once = life.kite.options, str(life.soak.draw.random())
    text = options.api_key + once + options.api_secret
    checksum = hashlib.sha256(text.encode()).hexdigest()
    form = {"api_key": options.api_key, "request_token": once, "checksum": checksum}
    answer = requests.post(f"{life.kite.url}/session/token", data=form, timeout=10)
    return str(answer.json()["data"]["access_token"])


def _clock_goes_back(life: Life) -> None:
    life.kite.set_now(NOW - timedelta(hours=life.soak.draw.uniform(1, 1000)))


_ENDS: dict[str, Callable[[Life], object]] = {
    "another login": _login,
    "the token dies": lambda life: life.kite.expire_token(),
    "the data plan ends": lambda life: life.kite.faults(Faults(rates={"permission": 1.0})),
    "Kite's clock is set back": _clock_goes_back,
}


def _most_in_a_second(life: Life) -> int:
    received = [entry.received for entry in life.kite.log if entry.kind == HISTORICAL]
    steps = (later - earlier for earlier, later in pairwise(received))
    assert all(step >= 0 for step in steps), "the log is not in order"
    return max(
        (sum(1 for at in received if start <= at < start + 1) for start in received), default=0
    )
