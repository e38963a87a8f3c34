"""The verbs about the staging file itself: archive, staging compact, backup and rescue."""

from pathlib import Path

import click

from kitepipe.cli.bounds import wait_option
from kitepipe.cli.common import common_options
from kitepipe.cli.options import Verb, file_options, json_option, proof_options
from kitepipe.cli.stages import carry_out
from kitepipe.config import Settings


@click.command(cls=Verb, example="kitepipe archive --archive /mnt/cheap/kite --dry-run")
@click.option("--dry-run", is_flag=True, help="Show how much would move, and the room for it.")
@wait_option
@json_option
@proof_options
def archive(settings: Settings, dry_run: bool, wait: bool, as_json: bool) -> int:
    """Move loaded replies from staging into Parquet files.

    What the database has not loaded stays, and so does the reply of each series that the next
    fetch compares with. load, replay and verify read the files where they need them.
    """
    from kitepipe import pipeline

    return carry_out(
        "archive",
        as_json,
        lambda bars: pipeline.archive(settings, bars, dry_run=dry_run, wait=wait),
    )


@click.group(epilog="\b\nExample:\n  kitepipe staging compact")
@common_options
def staging() -> None:
    """Look after the staging file: compact, backup, rescue."""


@staging.command(cls=Verb, example="kitepipe staging compact")
@wait_option
@json_option
@file_options
def compact(settings: Settings, wait: bool, as_json: bool) -> int:
    """Give room that the staging file does not use back to the disk.

    It is copied, the copy proven, and put in its place: until then both need room.
    """
    from kitepipe import pipeline

    return carry_out("compact", as_json, lambda bars: pipeline.compact(settings, bars, wait=wait))


@staging.command(cls=Verb, example="kitepipe staging backup /mnt/safe/kitepipe-2026-11.duckdb")
@click.argument("file", type=click.Path(path_type=Path))
@wait_option
@json_option
@file_options
def backup(settings: Settings, file: Path, wait: bool, as_json: bool) -> int:
    """Copy the staging file into a new FILE, and prove the copy.

    Archived replies are not in it: the archive's folder is backed up like any other.
    """
    from kitepipe import pipeline

    return carry_out(
        "backup", as_json, lambda bars: pipeline.backup(settings, file, bars, wait=wait)
    )


@staging.command(cls=Verb, example="kitepipe staging rescue rescued.duckdb")
@click.argument("file", type=click.Path(path_type=Path))
@wait_option
@json_option
@file_options
def rescue(settings: Settings, file: Path, wait: bool, as_json: bool) -> int:
    """Save what can be read of a damaged staging file into a new FILE.

    Each reply in it is proven by its hash. The next fetch asks for what is lost again.
    """
    from kitepipe import pipeline

    return carry_out(
        "rescue", as_json, lambda bars: pipeline.rescue(settings, file, bars, wait=wait)
    )
