"""`python -m tests.bench.sandbox`: the sandbox, with requests that arrive unevenly, as on a line.

Kite counts a request when it arrives: what a client sends evenly arrives with up to 20 ms of play.
"""

import argparse
import random
import signal
import sys
import time

from kitepipe.sandbox import SandboxOptions
from kitepipe.sandbox.market import Market
from kitepipe.sandbox.server import SandboxHandler, SandboxServer

# After a 429, and again after each that is asked for within: as Kite's staff describe it.
COOL_DOWN_S = 10.0


class Late(SandboxHandler):
    """Takes each request for history up to `arrival_s` after it came."""

    arrival_s = 0.0

    def do_GET(self) -> None:  # noqa: N802
        """Answer, but not at once."""
        time.sleep(random.uniform(0, self.arrival_s))
        super().do_GET()

    do_POST = do_DELETE = do_PUT = do_GET  # noqa: N815


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.sandbox", description=__doc__)
    parser.add_argument("--rate-limit", type=float, default=0.0, help="a second; 0: none")
    parser.add_argument("--latency-ms", type=float, nargs=2, default=(0.0, 0.0))
    parser.add_argument("--arrival-ms", type=float, default=0.0)
    parser.add_argument("--instruments", type=int, default=60)
    asked = parser.parse_args()
    Late.arrival_s = asked.arrival_ms / 1000
    options = SandboxOptions(
        rate_limit=asked.rate_limit,
        cooldown_s=COOL_DOWN_S,
        latency_ms=tuple(asked.latency_ms),
        instruments=asked.instruments,
    )
    server = SandboxServer(options, Market(options))
    server.RequestHandlerClass = Late
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print(f"listening on {server.url}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
