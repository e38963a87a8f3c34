"""`kitepipe sandbox`: a server that speaks Kite's protocol, in the foreground."""

import re
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kitepipe.cli.common import common_options
from kitepipe.cli.options import Verb, instant
from kitepipe.cli.output import say, tell
from kitepipe.errors import UsageError

if TYPE_CHECKING:
    from kitepipe.sandbox import Split


@click.command(cls=Verb, example="kitepipe sandbox --port 8080 --now 2026-11-20T18:00")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0: any free one.")
@click.option(
    "--rate-limit", type=click.FloatRange(0), default=3.0, help="History requests a second; 0: any."
)
@click.option("--latency-ms", default="0", metavar="MS", help="Such as 50, or 20-80.")
@click.option(
    "--now",
    callback=instant,
    metavar="INSTANT",
    help="Its clock; Indian time unless it has an offset.",
)
@click.option("--clock-runs", is_flag=True, help="Let that clock run on from there.")
@click.option("--token", default="sandbox_token", help="The access token that it takes.")
@click.option("--api-key", default="sandbox_key", help="The key that it takes.")
@click.option("--api-secret", default="sandbox_secret", help="The secret that logins need.")
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Serve candles from this folder instead of synthetic ones.",
)
@click.option("--instruments", type=click.IntRange(1), default=60, help="Synthetic ones.")
@click.option("--split", "splits", multiple=True, metavar="SYMBOL:DATE:RATIO", help="Re-base.")
@click.option(
    "--faults",
    default="",
    metavar="PLAN",
    help="Rates as 429=0.02,reset=0.01 or a script as ok,429.",
)
@click.option("--seed", default=0, help="For synthetic history and faults.")
@common_options
def sandbox(latency_ms: str, splits: tuple[str, ...], faults: str, **given: Any) -> int:
    """Serve Kite's protocol on this machine, for trials.

    No account is needed. The first line on stdout says when it is ready and where. Ctrl-C ends it.
    """
    from kitepipe.sandbox import SandboxOptions, parse_faults, serve

    options = SandboxOptions(
        latency_ms=_latency(latency_ms),
        splits=tuple(_split(text) for text in splits),
        faults=parse_faults(faults),
        **given,
    )

    def ready(line: str) -> None:
        say(line)
        tell(
            f"use it with:\n  export KITEPIPE_API_ROOT={line.rpartition(' ')[2]} "
            f"KITEPIPE_API_KEY={options.api_key} KITEPIPE_ACCESS_TOKEN={options.token}"
        )

    serve(options, ready)
    return 0


def _latency(text: str) -> float | tuple[float, float]:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?", text)
    if not found:
        raise UsageError(f"--latency-ms {text}: allowed is a number such as 50, or a range 20-80")
    low, high = float(found[1]), float(found[2] or found[1])
    return (min(low, high), max(low, high)) if found[2] else low


def _split(text: str) -> "Split":
    from kitepipe.sandbox import Split

    try:
        symbol, day, ratio = text.rsplit(":", 2)
        if float(ratio) > 0:
            return Split(symbol, date.fromisoformat(day), float(ratio))
    except ValueError:
        pass
    raise UsageError(f"--split {text}: allowed is SYMBOL:DATE:RATIO, such as INFY:2026-06-01:2")
