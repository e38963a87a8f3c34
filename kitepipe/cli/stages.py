"""The verbs that move data: instruments, fetch, load, run, replay."""

from collections.abc import Callable
from datetime import datetime

import click

from kitepipe.cli.bounds import bounds_options, wait_option
from kitepipe.cli.common import invocation
from kitepipe.cli.ending import finish, finish_early
from kitepipe.cli.memory import give_back
from kitepipe.cli.options import (
    Verb,
    instant,
    json_option,
    loading_options,
    stage_options,
)
from kitepipe.cli.terminal import progress
from kitepipe.config import Settings
from kitepipe.errors import KitepipeError
from kitepipe.plan import Bounds
from kitepipe.progress import Progress
from kitepipe.summary import Report


def carry_out(verb: str, as_json: bool, work: Callable[[Progress], Report]) -> int:
    """Do a verb's work and write its summary, also where an error ends it early."""
    try:
        with progress(invocation().log_format) as bars:
            report = work(bars)
    except KitepipeError as error:
        finish_early(verb, error, as_json)
        raise
    return finish(verb, report, as_json)


@click.command(cls=Verb, example="kitepipe instruments --json")
@wait_option
@json_option
@stage_options
def instruments(settings: Settings, wait: bool, as_json: bool) -> int:
    """Take Kite's dump of instruments into staging."""
    from kitepipe import pipeline

    return carry_out(
        "instruments", as_json, lambda bars: pipeline.take_instruments(settings, bars, wait=wait)
    )


@click.command(
    cls=Verb, example="kitepipe fetch --candle-interval day,minute --exchanges NSE --dry-run"
)
@click.option("--dry-run", is_flag=True, help="Show windows, requests, hours and bytes only.")
@bounds_options
@json_option
@stage_options
def fetch(settings: Settings, bounds: Bounds, dry_run: bool, as_json: bool) -> int:
    """Download what is not covered yet into the staging file.

    Replies are kept raw. Needs Kite, not the database. Stop it at any instant and start it
    again: what is staged is never asked for twice.
    """
    from kitepipe import pipeline

    if dry_run:
        return finish("plan", pipeline.plan_fetch(settings, bounds), as_json)
    give_back()
    return carry_out("fetch", as_json, lambda bars: pipeline.fetch(settings, bounds, bars))


@click.command(cls=Verb, example="kitepipe load --dsn postgresql://me@localhost/kite")
@wait_option
@json_option
@loading_options
def load(settings: Settings, wait: bool, as_json: bool) -> int:
    """Load staged replies that the database does not know yet.

    One transaction a series. Needs the staging file and the database, not Kite.
    """
    from kitepipe import pipeline_load  # without Kite's client, and so in 0.1 s less

    return carry_out("load", as_json, lambda bars: pipeline_load.load(settings, bars, wait=wait))


@click.command(cls=Verb, example="kitepipe run --until 08:30")
@bounds_options
@json_option
@stage_options
def run(settings: Settings, bounds: Bounds, as_json: bool) -> int:
    """Fetch and load side by side, as a scheduler would."""
    from kitepipe import pipeline

    return carry_out("run", as_json, lambda bars: pipeline.run(settings, bounds, bars))


@click.command(cls=Verb, example="kitepipe replay --dsn dbname=kite_at_new_year --as-of 2026-01-01")
@click.option(
    "--as-of",
    callback=instant,
    metavar="INSTANT",
    help="Use only what had been fetched by then; Indian time unless it has an offset. Into a "
    "database that is empty or was filled so.",
)
@wait_option
@json_option
@loading_options
def replay(settings: Settings, as_of: datetime | None, wait: bool, as_json: bool) -> int:
    """Load every staged reply again, offline.

    Into another database, or after a rule changed, or a table was lost. Into a database that has
    everything already it writes no row.
    """
    from kitepipe import pipeline_load

    return carry_out(
        "replay", as_json, lambda bars: pipeline_load.replay(settings, bars, as_of=as_of, wait=wait)
    )
