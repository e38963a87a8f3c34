"""Reports as people read them: a heading, a few aligned numbers, failures by name."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import click

from kitepipe.cli.gaps import gap_lines
from kitepipe.cli.output import count, duration, number, size
from kitepipe.model import IST
from kitepipe.summary import (
    DoctorReport,
    FetchReport,
    LoadReport,
    PlanReport,
    Quarantined,
    Report,
    RunReport,
    SchemaReport,
    SnapshotReport,
    StatusReport,
    VerifyReport,
)
from kitepipe.summary_files import ArchiveReport, CopyReport

# Enough to see a pattern; all of them are in --json.
MOST_NAMED = 20


class Row(NamedTuple):
    """One line of a summary: a word, a number (or a short text), and what else to know."""

    label: str
    value: int | str | None
    note: str = ""


def text_of(verb: str, report: Report) -> list[str]:
    """Return the lines of a summary, without colour where stdout is no terminal."""
    if isinstance(report, RunReport):
        return [
            *text_of("fetch", report.fetch),
            *text_of("load", report.load),
            *_names("failed", [f"{f.what}: {f.why}" for f in report.failures]),
            *_names("note", report.warnings),
        ]
    body = _BODIES.get(type(report), _any_body)
    return [
        _heading(verb, report),
        *body(report),
        *_names("failed", [f"{f.what}: {f.why}" for f in report.failures]),
        *_names("note", report.warnings),
    ]


def _heading(verb: str, report: Report) -> str:
    seconds = getattr(report, "seconds", 0.0)
    spent = duration(seconds) if seconds else ""
    only_tells = isinstance(report, (PlanReport, StatusReport, SchemaReport))
    if isinstance(report, ArchiveReport):
        only_tells = not report.moved
    if only_tells and not report.failures:
        return f"{click.style(verb, bold=True)}:"  # nothing is done or undone
    if report.interrupted:
        after = f" after {spent}" if spent else ""
        stopped = click.style(f"stopped early{after}: {report.interrupted}", fg="yellow")
        return f"{click.style(verb, bold=True)}: {stopped}"
    if report.exit_code:
        failed = f", {count(len(report.failures), 'failure')}" if report.failures else ""
        word, colour = f"incomplete{failed}", "yellow"
    else:
        word, colour = "done", "green"
    took = f" in {spent}" if spent else ""
    return f"{click.style(verb, bold=True)}: {click.style(word, fg=colour)}{took}"


def _rows(rows: Iterable[Row]) -> list[str]:
    """Return aligned lines; a row whose value is None is left out."""
    lines = []
    for label, value, note in rows:
        if value is not None:
            shown = number(value) if isinstance(value, int) else value
            lines.append(f"  {label:<12} {shown:>14}  {note}".rstrip())
    return lines


def _names(title: str, names: Sequence[str]) -> list[str]:
    lines = [f"  {title:<8} {name}" for name in names[:MOST_NAMED]]
    if len(names) > MOST_NAMED:
        lines.append(f"  {title:<8} and {number(len(names) - MOST_NAMED)} more (--json has all)")
    return lines


def _snapshot(report: SnapshotReport) -> list[str]:
    if not report.taken:
        return ["  the dump of today is staged already: Kite makes one a day, about 08:30"]
    return _rows(
        [
            Row("instruments", report.rows),
            Row("listed", report.listed, "that were not listed before"),
            Row("changed", report.changed),
            Row("gone", report.gone),
        ]
    )


def _plan(report: PlanReport) -> list[str]:
    lines = _rows(
        [
            Row("instruments", report.instruments),
            Row("series", report.series),
            Row("requests", report.requests, f"{duration(report.hours * 3600)} at the rate limit"),
            Row("bytes", size(report.bytes), "of raw replies, estimated"),
        ]
    )
    for line in report.lines[:MOST_NAMED]:
        windows = count(line.windows, "window")
        lines.append(f"  {line.series:<32} {windows:>12}  {line.first} .. {line.last}")
    more = len(report.lines) - MOST_NAMED
    return [*lines, f"  and {number(more)} more series (--json has all)"] if more > 0 else lines


def _fetch(report: FetchReport) -> list[str]:
    rate = f"{report.found_rate:.2f}" if report.found_rate else None
    return _rows(
        [
            Row("instruments", report.instruments, count(report.series, "series")),
            Row("windows", report.windows_done, f"of {number(report.windows_planned)} planned"),
            Row("requests", report.requests, f"{number(report.retries)} of them retries"),
            Row("rate", rate, "requests a second: more were refused"),
            Row("candles", report.candles, f"in {size(report.bytes)} of replies"),
            *(Row("re-based", "", name) for name in report.rebased[:MOST_NAMED]),
        ]
    ) + gap_lines(report.holes or None, most=MOST_NAMED)


def _load(report: LoadReport) -> list[str]:
    rules = ", ".join(f"{rule} {number(n)}" for rule, n in sorted(report.quarantine_rules.items()))
    rate = f"{number(round(report.new / report.seconds))} a second" if report.seconds else ""
    return _rows(
        [
            Row("series", report.series, f"from {count(report.replies, 'reply')}"),
            Row("new", report.new, rate if report.new else ""),
            Row("changed", report.changed),
            Row("gone", report.gone),
            Row("equal", report.equal),
            Row("held", report.held, "not settled yet: asked for again" if report.held else ""),
            Row("quarantined", report.quarantined, rules),
            Row("waiting", report.waiting or None, "replies, until all is fetched anew"),
        ]
    ) + _names(
        "dropped",
        [f"{one}: fetched before the re-base only; fetch it anew" for one in report.dropped],
    )


def _status(report: StatusReport) -> list[str]:
    holder = report.holder
    lines = _rows(
        [
            Row("staging", size(report.file_bytes), report.staging),
            Row(
                "instruments",
                report.instruments if report.staging_id else None,
                f"dump of {report.snapshot or 'no day yet'}",
            ),
            Row("unloaded", report.unloaded, "replies that the database does not know yet"),
            Row("loaded", report.warehouse_candles, "candles in the database"),
            Row("quarantined", report.quarantined, "candles"),
            *(Row("re-based", "", name) for name in report.rebased[:MOST_NAMED]),
        ]
    )
    if holder:
        lines.append(
            f"  {holder.verb} is running: process {holder.pid} since {holder.since}, "
            f"{number(holder.done)} of {number(holder.planned)}, {holder.rate:.1f}/s, "
            f"{count(holder.failures, 'failure')}"
        )
    lines += gap_lines(report.gaps, most=MOST_NAMED)
    lines += _names("lost", [f"{one.what}: {one.why}" for one in report.lost])
    lines += _quarantine(report.quarantine or [])
    return lines + [
        f"  {i.interval:<12} {count(i.series, 'series'):>14}  {number(i.candles)} candles in "
        f"{size(i.bytes)}, {i.first or '-'} .. {i.last or '-'}"
        for i in report.intervals
    ]


def _quarantine(candles: Sequence[Quarantined]) -> list[str]:
    return _names(
        "bad",
        [
            f"{c.instrument} {c.interval} {c.trade_date or 'no date'}: {c.rule}: {c.raw[:100]} "
            f"(reply {c.reply_id} of {c.staging_id[:8]}, {c.fetched_at.astimezone(IST):%F %R} IST)"
            for c in candles
        ],
    )


def _verify(report: VerifyReport) -> list[str]:
    return _rows(
        [
            Row("series", report.series, f"{number(report.candles)} candles compared"),
            Row("differing", report.differing),
            Row("unloaded", report.unloaded or None, "replies that the database does not know yet"),
            Row("unproven", report.unproven, "in no staged reply" if report.unproven else ""),
            Row("deleted", report.deleted),
        ]
    ) + _names("unproven", report.foreign)


def _archive(report: ArchiveReport) -> list[str]:
    free = f"of {size(report.disk_free)} free in {report.archive}"
    return _rows(
        [
            Row(
                "replies", report.replies, f"{size(report.bytes)} in {count(report.files, 'file')}"
            ),
            Row("room taken", size(report.file_bytes), free),
            Row(
                "room freed", size(report.freed), "in staging, for new replies: see staging compact"
            ),
        ]
    )


def _copy(report: CopyReport) -> list[str]:
    return _rows(
        [
            Row("replies", report.replies, "each proven by its hash"),
            Row("before", size(report.bytes_before)),
            Row("after", size(report.bytes_after), report.file),
        ]
    )


def _schema(report: SchemaReport) -> list[str]:
    editions = {
        "timescale": "TimescaleDB under its own licence",
        "apache": "TimescaleDB, Apache edition: hypertables, no columnstore",
        "plain": "plain PostgreSQL: ordinary tables",
    }
    made = "made now" if report.created else "were there already"
    return [
        f"  server   {report.server}",
        f"  edition  {editions.get(report.edition, report.edition)}",
        f"  tables   {made}{', with columnstore' if report.columnstore else ''}",
    ]


def _doctor(report: DoctorReport) -> list[str]:
    marks = {True: ("ok", "green"), False: ("FAIL", "red"), None: ("--", "yellow")}
    return [
        f"  {click.style(f'{marks[c.ok][0]:<4}', fg=marks[c.ok][1])}  {c.name:<14} {c.detail}"
        for c in report.checks
    ]


def _any_body(report: Report) -> list[str]:
    plain = report.as_dict()
    names = [name for name in plain if isinstance(plain[name], (int, float, str)) and plain[name]]
    shared = ("exit_code", "interrupted", "seconds")
    return _rows(Row(name, str(plain[name])) for name in names if name not in shared)


_BODIES: dict[type[Report], Callable[[Any], list[str]]] = {
    SnapshotReport: _snapshot,
    PlanReport: _plan,
    FetchReport: _fetch,
    LoadReport: _load,
    StatusReport: _status,
    VerifyReport: _verify,
    ArchiveReport: _archive,
    CopyReport: _copy,
    SchemaReport: _schema,
    DoctorReport: _doctor,
}
