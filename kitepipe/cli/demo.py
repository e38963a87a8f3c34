"""`kitepipe demo`: the whole way from a sandbox into a database, on this machine alone."""

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import click

from kitepipe.cli.common import common_options, invocation
from kitepipe.cli.ending import finish
from kitepipe.cli.options import Verb
from kitepipe.cli.output import number, say, tell
from kitepipe.cli.terminal import progress
from kitepipe.config import ConfigLoader, Settings
from kitepipe.errors import SchemaMissing, UsageError
from kitepipe.model import IST, Interval, utc_now
from kitepipe.plan import Bounds
from kitepipe.progress import Progress
from kitepipe.summary import FetchReport

# How far back each interval goes: enough to be real work, little enough for a minute of time.
_DEPTH = {
    Interval.DAY: None,
    Interval.MINUTE_60: timedelta(days=365),
    Interval.MINUTE: timedelta(days=30),
}
_ASKED_FASTER = 10_000.0  # requests a second: the demo's server is our own


@click.command(cls=Verb, example="kitepipe demo --keep --folder /tmp/kitepipe-demo")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("kitepipe-demo"),
    show_default=True,
    help="Where it works.",
)
@click.option("--keep", is_flag=True, help="Leave the folder there at the end.")
@common_options
def demo(folder: Path, keep: bool) -> int:
    """Fill a database with synthetic history, on this machine.

    Neither an account nor a network is needed. A sandbox stands for Kite: day candles since 1995,
    a year of 60minute, 30 days of minute. The database is an embedded PostgreSQL
    (pip install 'kitepipe[embedded]'), or that of KITEPIPE_DSN if it is empty or was filled by
    this demo.
    """
    if not invocation().verbose:  # 180 lines, one for each series, would hide the numbers
        logging.getLogger("kitepipe").setLevel(logging.WARNING)
        logging.getLogger("kitepipe.progress").setLevel(logging.INFO)
    with _workplace(folder, keep) as place:
        return _tour(place)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a demo works, and which symbol it shows at the end."""

    folder: Path
    settings: Settings
    own_database: bool
    kept: bool


@contextmanager
def _workplace(folder: Path, keep: bool) -> Iterator[_Place]:
    """Open sandbox and database; at the end take the folder away, if this run made it.

    A demo that does not come to its end leaves it there: the next one goes on from there.
    """
    dsn = ConfigLoader(Path(os.devnull)).load().dsn  # the variable alone, no file of real work
    made = not folder.exists()
    kept = keep or not made
    with ExitStack() as stack:
        if not kept:
            stack.push(lambda kind, *_: _remove(folder) if kind in (None, UsageError) else None)
        folder.mkdir(parents=True, exist_ok=True)
        settings = stack.enter_context(_sandbox_settings(folder))
        own = dsn in (None, "embedded")
        settings = replace(settings, dsn=stack.enter_context(_database(folder)) if own else dsn)
        yield _Place(folder, settings, own, kept)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _sandbox_settings(folder: Path) -> Iterator[Settings]:
    from kitepipe.sandbox import Sandbox, SandboxOptions

    # A staging file belongs to one address for good: a second demo here must find the same one.
    port_file = folder / "sandbox.port"
    port = int(port_file.read_text()) if port_file.exists() else 0
    options = SandboxOptions(
        port=port,
        rate_limit=None,
        other_rate_limit=_ASKED_FASTER,
        api_key=f"demo_{os.getpid()}",  # processes with the same key wait for each other
    )
    with Sandbox(options) as sandbox:
        port_file.write_text(sandbox.url.rpartition(":")[2])
        yield Settings(
            api_root=sandbox.url,
            api_key=options.api_key,
            access_token=options.token,
            rate_limit=_ASKED_FASTER,
            staging=folder / "kitepipe.duckdb",
        )


@contextmanager
def _database(folder: Path) -> Iterator[str]:
    from kitepipe.embedded import embedded_dsn

    tell("starting the embedded PostgreSQL ...")
    with embedded_dsn(folder / "postgres") as dsn:
        yield dsn


def _tour(place: _Place) -> int:
    from kitepipe import pipeline

    settings = place.settings
    with progress(invocation().log_format) as bars:
        snapshot = pipeline.take_instruments(settings, bars)
        _refuse_real_work(settings)
        pipeline.apply_schema(settings, columnstore=False)
        fetched = [_fetch(settings, interval, bars) for interval in _DEPTH]
        loaded = pipeline.load(replace(settings, candle_interval=tuple(_DEPTH)), bars)
    codes = [
        finish("instruments", snapshot, False),
        finish("fetch", _sum(fetched), False),
        finish("load", loaded, False),
        finish("status", pipeline.status(settings), False),
    ]
    _show_rows(settings)
    _say_next(place)
    return max(codes)


def _fetch(settings: Settings, interval: Interval, bars: Progress) -> FetchReport:
    from kitepipe import pipeline

    depth = _DEPTH[interval]
    first = _today() - depth if depth else None
    return pipeline.fetch(replace(settings, candle_interval=(interval,)), Bounds(first=first), bars)


def _sum(reports: list[FetchReport]) -> FetchReport:
    """Return three fetches as one; the instruments are the same three times."""
    return replace(FetchReport.sum(reports), instruments=reports[0].instruments)


def _today() -> date:
    return utc_now().astimezone(IST).date()


def _refuse_real_work(settings: Settings) -> None:
    """Raise UsageError where the database holds candles that are not this demo's."""
    from kitepipe import pipeline
    from kitepipe.warehouse import DatabaseManager

    staging_id = pipeline.status(replace(settings, dsn=None)).staging_id
    with DatabaseManager(str(settings.dsn)) as database:
        try:
            database.check_schema()
        except SchemaMissing:
            return
        if database.other_staging_files(staging_id):
            raise UsageError(
                "the database of KITEPIPE_DSN holds candles that are not this demo's; unset "
                "KITEPIPE_DSN, or name an empty database"
            )


def _show_rows(settings: Settings) -> None:
    from kitepipe.warehouse import DatabaseManager

    with DatabaseManager(str(settings.dsn)) as database:
        rows = database.newest_candles("INFY", 2)
    if rows:
        say("\nselect ... from kite_ohlcv")
        say(
            table(
                ["symbol", "interval", "date (IST)", "open", "high", "low", "close", "volume"], rows
            )
        )


def table(names: list[str], rows: list[tuple[object, ...]]) -> str:
    """Return rows as aligned text: words to the left, numbers to the right."""
    cells = [names] + [[_cell(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    sides: list[Callable[[str, int], str]] = [
        str.rjust if isinstance(value, (int, float)) else str.ljust for value in rows[0]
    ]
    lines = [
        "  "
        + "  ".join(side(c, w) for c, w, side in zip(line, widths, sides, strict=True)).rstrip()
        for line in cells
    ]
    lines.insert(1, "  " + "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.2f}"
    return number(value) if isinstance(value, int) else str(value)


def _say_next(place: _Place) -> None:
    steps = []
    if place.kept:
        steps.append((f"kitepipe demo --folder {place.folder}", "nothing is asked for twice"))
        steps.append((f"kitepipe status --staging {place.settings.staging}", "what is staged"))
    else:
        steps.append(("kitepipe demo --keep", "the same, and leave its files to look at"))
    if not place.own_database:
        steps.append(('psql "$KITEPIPE_DSN" -c "select * from kite_ohlcv limit 5"', "any question"))
    steps.append(("kitepipe init", "settings for real data; then 'kitepipe login', 'kitepipe run'"))
    width = max(len(command) for command, _ in steps)
    say("\nnext:")
    for command, why in steps:
        say(f"  {command:<{width}}  {why}")
