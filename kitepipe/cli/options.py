"""Options that verbs share; the flags of all settings are made from the table of keys."""

import functools
from collections.abc import Callable, Container
from datetime import date, datetime, time
from typing import Any, TypeVar

import click

from kitepipe.cli import logs
from kitepipe.cli.common import common_options, invocation
from kitepipe.cli.output import say_json, tell
from kitepipe.config import KEYS, ConfigLoader, Key, Settings
from kitepipe.config_kinds import Intervals, Switch
from kitepipe.model import IST

F = TypeVar("F", bound=Callable[..., Any])


class Verb(click.Command):
    """A command whose help shows an example, and its settings apart from its own options."""

    def __init__(self, name: str | None, *, example: str = "", **extra: Any) -> None:
        super().__init__(name, epilog=f"\b\nExample:\n  {example}", **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Start the log, as all options are known now, and run the verb."""
        common = invocation()
        logs.set_up(common.log_format, common.verbose)
        return super().invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write two lists: what this verb takes, and settings that it shares with the others."""
        own: list[tuple[str, str]] = []
        shared: list[tuple[str, str]] = []
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record:
                (shared if param.name in KEYS else own).append(record)
        with formatter.section("Options"):
            formatter.write_dl(own)
        if shared:
            title = "Settings (stronger than KITEPIPE_* variables and the configuration file)"
            with formatter.section(title):
                formatter.write_dl(shared)


def settings_options(command: F, only: Container[str] = KEYS) -> F:
    """Add a flag for each setting; the verb gets them as one `settings: Settings`.

    `only`: those that the verb uses, by name.
    """

    @functools.wraps(command)
    def with_settings(**given: Any) -> Any:
        flags = {name: given.pop(name) for name in list(given) if name in KEYS}
        return command(settings=ConfigLoader(invocation().config).load(**flags), **given)

    adorned: Any = common_options(with_settings)
    for key in reversed([key for key in KEYS.values() if key.flag and key.name in only]):
        adorned = _flag(key)(adorned)
    return adorned  # type: ignore[no-any-return]


def _flag(key: Key) -> Callable[[F], F]:
    if isinstance(key.kind, Switch):
        both = f"{key.flag}/--no-{key.flag[2:]}"
        return click.option(both, key.name, default=None, help=_sentence(key))
    return click.option(key.flag, key.name, metavar=_metavar(key), help=_sentence(key))


def _sentence(key: Key) -> str:
    default = key.default
    if isinstance(default, tuple):
        default = ",".join(default)
    if isinstance(key.kind, Switch):
        default = "yes" if default else "no"
    known = f"  [{default}]" if default not in ("", None) else ""
    return f"{key.help[0].upper()}{key.help[1:]}{known}"


def _metavar(key: Key) -> str:
    names = {int: "N", float: "X", date: "DATE", tuple: "A,B,..."}
    if isinstance(key.kind, Intervals):
        return "INTERVAL,..."
    default = names.get(type(key.default), "")
    return default or _METAVARS.get(key.name, "FILE")


_METAVARS = {"dsn": "DSN", "api_root": "URL", "shard": "I/N", "archive": "DIR"}


def stage_options(command: F, only: Container[str] = KEYS) -> F:
    """Add the settings; where they say `enabled = false` the verb does nothing, and says so."""

    @functools.wraps(command)
    def unless_disabled(settings: Settings, **given: Any) -> Any:
        if settings.enabled:
            return command(settings=settings, **given)
        tell("enabled = false: nothing is done")
        if given.get("as_json"):
            say_json({"enabled": False, "exit_code": 0})
        return 0

    return settings_options(unless_disabled, only)  # type: ignore[return-value]


def loading_options(command: F) -> F:
    """Add the settings as `stage_options`, for a verb that takes all that is staged."""
    return stage_options(command, ("enabled", "staging", "archive", "dsn", "load_workers"))


def proof_options(command: F) -> F:
    """Add the settings as `stage_options`, for a verb that looks at both stages' files."""
    return stage_options(command, ("enabled", "staging", "archive", "dsn"))


def file_options(command: F) -> F:
    """Add the settings as `stage_options`, for a verb about the staging file alone."""
    return stage_options(command, ("enabled", "staging"))


def json_option(command: F) -> F:
    """Add `--json`: the report as one JSON document, alone on stdout."""
    return click.option("--json", "as_json", is_flag=True, help="Report as JSON on stdout.")(
        command
    )


def iso_date(ctx: click.Context, param: click.Parameter, text: str | None) -> date | None:
    """Read a date such as 2024-01-31, as click's callback of an option."""
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a date such as 2024-01-31") from None


def clock_time(ctx: click.Context, param: click.Parameter, text: str | None) -> time | None:
    """Read a time of the day such as 22:30, as click's callback of an option."""
    try:
        return time.fromisoformat(text) if text else None
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a time such as 22:30") from None


def instant(ctx: click.Context, param: click.Parameter, text: str | None) -> datetime | None:
    """Read an ISO instant, Indian time where it has no offset, as click's callback of an option."""
    try:
        read = datetime.fromisoformat(text) if text else None
    except ValueError:
        words = f"{text!r} is not an instant such as 2024-01-31T18:00+05:30"
        raise click.BadParameter(words) from None
    return read.replace(tzinfo=IST) if read and read.tzinfo is None else read
