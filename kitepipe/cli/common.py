"""What the command line says to every verb; the program itself needs no more than this."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


@dataclass
class Invocation:
    """What the command line says to every verb, before or after the verb's name."""

    config: Path | None = None
    verbose: bool = False
    log_format: str = "auto"


def invocation() -> Invocation:
    """Return what this command line says to every verb."""
    context = click.get_current_context().find_root()
    return context.ensure_object(Invocation)


def common_options(command: F) -> F:
    """Add `--config`, `-v` and `--log-format`: to the program and to each verb alike."""
    for option in (
        click.option(
            "--config",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Configuration file  [KITEPIPE_CONFIG, or kitepipe.toml or config.json here]",
            expose_value=False,
            callback=_note,
        ),
        click.option(
            "--log-format",
            type=click.Choice(["auto", "text", "json"]),
            help="Form of log lines  [auto: text on a terminal, else JSON]",
            expose_value=False,
            callback=_note,
        ),
        click.option(
            "-v",
            "--verbose",
            is_flag=True,
            help="Log each window.",
            expose_value=False,
            callback=_note,
        ),
    ):
        command = option(command)
    return command


def _note(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    if value:
        setattr(ctx.find_root().ensure_object(Invocation), param.name or "", value)
