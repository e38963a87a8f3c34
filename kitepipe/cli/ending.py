"""The last thing that a verb says: its one summary, as text or as JSON."""

from dataclasses import replace

from kitepipe.cli.output import say, say_json
from kitepipe.cli.render import text_of
from kitepipe.errors import KitepipeError, WarehouseError
from kitepipe.summary import Report, RunReport


def finish(verb: str, report: Report, as_json: bool) -> int:
    """Write the one summary at the end, and return the exit code of the verb."""
    if as_json:
        say_json(report.as_dict())
    else:
        say("\n".join(text_of(verb, report)))
    return report.exit_code


def finish_early(verb: str, error: KitepipeError, as_json: bool) -> None:
    """Write what a verb had done when `error` ended it; as JSON the error too."""
    if as_json:
        done = error.report.as_dict() if error.report else {}
        say_json(done | {"exit_code": error.exit_code, "error": str(error)})
    elif error.report:
        say("\n".join(text_of(verb, stopped_by(error.report, error))))


def stopped_by(report: Report, error: KitepipeError) -> Report:
    """Return a report with what ended it; of a run only the half: a warehouse ends no fetch."""
    if not isinstance(report, RunReport):
        return replace(report, interrupted=str(error))
    if isinstance(error, WarehouseError):
        return replace(report, load=replace(report.load, interrupted=str(error)))
    return replace(report, fetch=replace(report.fetch, interrupted=str(error)))
