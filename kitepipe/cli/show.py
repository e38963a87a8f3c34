"""The verbs that look: status, verify, schema, doctor."""

import click

from kitepipe.cli.common import invocation
from kitepipe.cli.ending import finish
from kitepipe.cli.options import Verb, json_option, proof_options, settings_options
from kitepipe.cli.terminal import progress
from kitepipe.config import Settings


@click.command(cls=Verb, example="kitepipe status --json | jq .unloaded")
@click.option(
    "--quarantine", is_flag=True, help="Show the candles that broke a rule, newest first."
)
@click.option(
    "--gaps", is_flag=True, help="Name the sessions that are missing, and why; exit 3 for holes."
)
@json_option
@settings_options
def status(settings: Settings, quarantine: bool, gaps: bool, as_json: bool) -> int:
    """Show what is staged, what is loaded, and who is at work."""
    from kitepipe.status import status as look

    return finish("status", look(settings, quarantine=quarantine, gaps=gaps), as_json)


@click.command(cls=Verb, example="kitepipe verify --staging kite.duckdb --json | jq .differing")
@click.option("--delete-foreign", is_flag=True, help="Delete rows that no staged reply speaks of.")
@json_option
@proof_options
def verify(settings: Settings, delete_foreign: bool, as_json: bool) -> int:
    """Compare staging and database, and name each difference."""
    from kitepipe import pipeline

    with progress(invocation().log_format) as bars:
        report = pipeline.verify(settings, bars, delete_foreign=delete_foreign)
    return finish("verify", report, as_json)


@click.command(cls=Verb, example="KITEPIPE_DSN=postgresql://me@localhost/kite kitepipe schema")
@click.option(
    "--columnstore", is_flag=True, help="Compress old candles too (TimescaleDB's own licence)."
)
@json_option
@settings_options
def schema(settings: Settings, columnstore: bool, as_json: bool) -> int:
    """Make the tables where they are missing, and name the server."""
    from kitepipe import pipeline

    return finish("schema", pipeline.apply_schema(settings, columnstore=columnstore), as_json)


@click.command(cls=Verb, example="kitepipe doctor")
@json_option
@settings_options
def doctor(settings: Settings, as_json: bool) -> int:
    """Check configuration, session, Kite, staging and database."""
    from kitepipe import pipeline

    return finish("doctor", pipeline.doctor(settings), as_json)
