"""The options that bound a run of `fetch`."""

import functools
from collections.abc import Callable
from datetime import date
from typing import Any, TypeVar

import click

from kitepipe.cli.options import clock_time, iso_date
from kitepipe.errors import UsageError
from kitepipe.plan import Bounds

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--from", "first", callback=iso_date, metavar="DATE", help="First IST date to ask for."
    ),
    click.option(
        "--to", "last", callback=iso_date, metavar="DATE", help="Last IST date to ask for  [today]"
    ),
    click.option("--refetch", is_flag=True, help="Ask again for dates that are covered."),
    click.option(
        "--repair", is_flag=True, help="Ask only for holes and failed windows ('status --gaps')."
    ),
    click.option(
        "--max-requests", type=click.IntRange(1), metavar="N", help="Stop after N requests."
    ),
    click.option(
        "--until", callback=clock_time, metavar="HH:MM", help="Stop at this time in India."
    ),
    click.option(
        "--from-scratch", is_flag=True, help="Do not ask the warehouse what it has already."
    ),
)

_LIMITS = ("max_requests", "until", "from_scratch", "wait")


def wait_option(command: F) -> F:
    """Add `--wait`: queue behind the process that holds the staging file."""
    return click.option(
        "--wait", is_flag=True, help="Wait while another process holds the staging file."
    )(command)


def bounds_options(command: F) -> F:
    """Add what bounds a run; the verb gets it as one `bounds: Bounds`."""

    @functools.wraps(command)
    def with_bounds(
        first: date | None, last: date | None, refetch: bool, repair: bool, **given: Any
    ) -> Any:
        if first and last and first > last:
            raise UsageError(f"--from {first} is after --to {last}")
        if refetch and repair:
            raise UsageError("--refetch asks for everything, --repair for holes only: choose one")
        limits = {name: given.pop(name) for name in _LIMITS}
        bounds = Bounds(first=first, last=last, refetch=refetch, repair=repair, **limits)
        return command(bounds=bounds, **given)

    adorned: Any = wait_option(with_bounds)
    for option in reversed(_OPTIONS):
        adorned = option(adorned)
    return adorned  # type: ignore[no-any-return]
