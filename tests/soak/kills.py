"""`kill -9` at random instants of every verb that writes."""

import signal
import time

from tests.soak.life import WANTED, Life, Soak, rounds

KILLS_A_LIFE = 10
# How long each takes that nobody disturbs: a kill falls anywhere in it (seconds, two cores).
_VERBS: dict[str, tuple[tuple[str, ...], float]] = {
    "fetch": (("fetch", *WANTED), 1.3),
    "load": (("load",), 1.0),
    "run": (("run", *WANTED), 1.6),
    "replay": (("replay",), 1.1),
    "schema": (("schema",), 0.6),
    "archive": (("archive",), 0.9),
    "compact": (("staging", "compact"), 0.9),
}


def kills(soak: Soak, number: int) -> None:
    """Kill verbs in any order, ten times on one staging file and one database; then look."""
    rounds(soak, -(-number // KILLS_A_LIFE), "kills", _die_again_and_again)


def _die_again_and_again(life: Life) -> None:
    draw = life.soak.draw
    for _ in range(KILLS_A_LIFE):
        verb = draw.choice(list(_VERBS))
        arguments, seconds = _VERBS[verb]
        with life.box.started(*arguments) as process:
            time.sleep(draw.uniform(0.05, seconds))
            process.send_signal(signal.SIGKILL)
            _, words = process.communicate(timeout=60)
        if process.returncode == -signal.SIGKILL:
            life.soak.counts[f"kills of {verb}"] += 1
        else:  # it was quicker; without a staging file there is nothing to load: 12
            life.soak.counts[f"{verb} ended before"] += 1
            fine = process.returncode in (0, 12)
            life.expect(fine, f"{verb} ends with {process.returncode}: {words.strip()[-200:]}")
