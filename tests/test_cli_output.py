"""What people and programs read: summaries, progress, log lines."""

import json
import logging
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date
from textwrap import dedent

import pytest
from click import unstyle

from kitepipe.cli import logs, terminal
from kitepipe.cli.demo import table
from kitepipe.cli.ending import finish
from kitepipe.cli.output import count, duration, number, size
from kitepipe.cli.render import MOST_NAMED, text_of
from kitepipe.summary import (
    Check,
    DoctorReport,
    Failure,
    FetchReport,
    Holder,
    IntervalStatus,
    LoadReport,
    PlanLine,
    PlanReport,
    Report,
    RunReport,
    SchemaReport,
    SnapshotReport,
    StatusReport,
    VerifyReport,
)
from tests.box_help import ENVIRON

FETCH = FetchReport(
    instruments=50,
    series=100,
    windows_planned=400,
    windows_done=398,
    requests=410,
    retries=12,
    found_rate=2.8436,
    candles=1234567,
    bytes=65_400_000,
    rebased=["NSE:TATAMOTORS day"],
    failures=[Failure("NSE:INFY day 2024-01-01..2024-02-29", "HTTP 502 after 5 attempts")],
    seconds=137.2,
)
LOAD = LoadReport(
    series=100,
    replies=398,
    new=1_200_000,
    changed=3,
    gone=1,
    equal=20,
    held=375,
    quarantined=5,
    quarantine_rules={"high_below_low": 4, "bad_date": 1},
    seconds=6.0,
)
REPORTS: list[Report] = [
    FETCH,
    LOAD,
    RunReport(fetch=FETCH, load=LOAD),
    SnapshotReport(rows=9000, listed=5, changed=2, gone=1),
    SnapshotReport(taken=False),
    PlanReport(2, 2, 9, 0.5, 9_000_000, [PlanLine("NSE:INFY day", 6, date(1995, 1, 1), date.max)]),
    StatusReport(
        staging="kitepipe.duckdb",
        file_bytes=10_000_000,
        instruments=9000,
        snapshot="2026-11-23",
        holder=Holder(4711, "fetch", "18:00", 5, 10, 2.9, 0),
        intervals=[IntervalStatus("day", 50, 300, 400_000, 5_000_000, date(1995, 1, 2), None)],
        unloaded=7,
    ),
    VerifyReport(series=100, candles=5_000_000, differing=0, unproven=2),
    SchemaReport("apache", "PostgreSQL 17.6, TimescaleDB 2.19.3", created=True),
    DoctorReport(checks=[Check("session", False, "none", 10), Check("kite", None, "not asked")]),
]


@pytest.mark.parametrize("report", REPORTS, ids=lambda r: type(r).__name__)
def test_a_summary_is_short_and_no_line_is_long(report: Report) -> None:
    """A summary fits a screen; JSON holds the same report and its exit code."""
    lines = text_of("verb", report)
    assert len(lines) <= 24
    assert all(len(line) <= 100 for line in lines)
    assert json.loads(json.dumps(report.as_dict()))["exit_code"] == report.exit_code


def test_the_summary_of_a_fetch_is_the_one_that_we_mean() -> None:
    """Numbers are aligned, and failures have names."""
    assert [unstyle(line) for line in text_of("fetch", FETCH)] == [
        "fetch: incomplete, 1 failure in 2 min 17 s",
        "  instruments              50  100 series",
        "  windows                 398  of 400 planned",
        "  requests                410  12 of them retries",
        "  rate                   2.84  requests a second: more were refused",
        "  candles           1,234,567  in 65.4 MB of replies",
        "  re-based                     NSE:TATAMOTORS day",
        "  failed   NSE:INFY day 2024-01-01..2024-02-29: HTTP 502 after 5 attempts",
    ]


def test_the_summary_of_a_load_counts_every_fate_of_a_candle() -> None:
    """New, changed, gone, equal, held and quarantined are told apart."""
    assert [unstyle(line) for line in text_of("load", LOAD)] == [
        "load: incomplete in 6.0 s",
        "  series                  100  from 398 replies",
        "  new               1,200,000  200,000 a second",
        "  changed                   3",
        "  gone                      1",
        "  equal                    20",
        "  held                    375  not settled yet: asked for again",
        "  quarantined               5  bad_date 1, high_below_low 4",
    ]


def test_failures_are_named_up_to_twenty() -> None:
    """A run that fails everywhere does not fill the screen; nothing is hidden from --json."""
    failures = [Failure(f"series {n}", "why") for n in range(50)]
    lines = text_of("load", LoadReport(failures=failures))
    assert sum("series" in line and "why" in line for line in lines) == MOST_NAMED
    assert lines[-1] == "  failed   and 30 more (--json has all)"


def test_a_run_that_stopped_early_says_why() -> None:
    """`--until` and a full disk are told in the heading."""
    heading = text_of("fetch", FetchReport(interrupted="22:30 is reached"))[0]
    assert unstyle(heading) == "fetch: stopped early: 22:30 is reached"


def test_a_report_that_only_tells_has_nothing_done() -> None:
    """The heading of a plan or a status claims no work."""
    assert unstyle(text_of("status", StatusReport())[0]) == "status:"
    assert unstyle(text_of("doctor", REPORTS[-1])[0]) == "doctor: incomplete"


def test_a_report_of_another_kind_is_shown_too() -> None:
    """A report that has no layout of its own shows its numbers."""

    class Other(Report):
        """Nothing more than a report."""

    assert [unstyle(line) for line in text_of("other", Other())] == ["other: done"]


def test_json_is_one_document_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    """`--json` prints the report and nothing else, and the exit code is the report's."""
    assert finish("load", LOAD, as_json=True) == 3
    assert json.loads(capsys.readouterr().out)["quarantined"] == 5


def test_numbers_have_units_that_suit_them() -> None:
    """People read 3 min 5 s and 65.4 MB, not seconds and bytes."""
    assert [duration(s) for s in (0.42, 41, 59.7, 185, 7800)] == [
        "0.4 s",
        "41 s",
        "1 min 0 s",
        "3 min 5 s",
        "2 h 10 min",
    ]
    assert [size(n) for n in (999, 1500, 65_400_000, 2e9, 5e15)] == [
        "999 B",
        "1.5 kB",
        "65.4 MB",
        "2.0 GB",
        "5,000.0 TB",
    ]
    assert [count(1, "reply"), count(2, "reply"), count(1, "series"), count(0, "request")] == [
        "1 reply",
        "2 replies",
        "1 series",
        "0 requests",
    ]
    assert number(1234567) == "1,234,567"


def test_a_table_is_aligned() -> None:
    """Words stand to the left, numbers to the right."""
    rows: list[tuple[object, ...]] = [("INFY", 1500.5, 12345), ("M&M", 99.0, 7)]
    assert table(["symbol", "close", "volume"], rows).splitlines() == [
        "  symbol     close  volume",
        "  ------  --------  ------",
        "  INFY    1,500.50  12,345",
        "  M&M        99.00       7",
    ]


@pytest.fixture
def log_lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], list[str]]]:
    """What went to stderr, with the loggers as they were afterwards."""
    root, ours = logging.getLogger(), logging.getLogger("kitepipe")
    handlers, level = list(root.handlers), ours.level
    yield lambda: capsys.readouterr().err.splitlines()
    root.handlers[:] = handlers
    ours.setLevel(level)


def test_log_lines_are_json_where_no_terminal_reads_them(
    log_lines: Callable[[], list[str]],
) -> None:
    """One object a line, with a time zone; a traceback stays on its line."""
    logs.set_up("auto", verbose=False)
    log = logging.getLogger("kitepipe.some")
    log.info("loaded %s", "NSE:M&M")
    log.debug("not without -v")
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        log.exception("odd")
    first, second = (json.loads(line) for line in log_lines())
    assert (first["level"], first["logger"]) == ("info", "kitepipe.some")
    assert (first["message"], first["time"][-6:]) == ("loaded NSE:M&M", "+00:00")
    assert "ZeroDivisionError" in second["traceback"]


def test_log_lines_are_words_where_asked(log_lines: Callable[[], list[str]]) -> None:
    """People who pipe may still want words; -v adds the windows; set up twice is once."""
    logs.set_up("text", verbose=False)
    logs.set_up("text", verbose=True)
    log = logging.getLogger("kitepipe.some")
    log.debug("a window")
    log.warning("careful")
    first, second = log_lines()
    assert (first[8:], second[8:]) == (" a window", " warning: careful")


def test_progress_without_a_terminal_is_a_line_now_and_then(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """At most a line every few seconds, with rate and time left, and one at the end."""
    now = [0.0]
    caplog.set_level(logging.INFO, "kitepipe.progress")
    with terminal.Lines(lambda: now[0]).meter("fetch", 300, "requests") as meter:
        for second in range(100):
            now[0] = second + 1.0
            meter.advance(2, "NSE:INFY")
        meter.grow(-100)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 100 / terminal.LINE_EVERY_S + 1
    assert lines[0] == "fetch: 10 of 300 requests, 2.0/s, 2 min 25 s left (NSE:INFY)"
    assert lines[-1] == "fetch: 200 of 200 requests, 2.0/s"


_BARS = dedent(
    """
    import logging
    from kitepipe.cli import logs, terminal
    logs.set_up("auto", False)
    with terminal.progress("auto") as bars:
        with bars.meter("fetch", 3, "requests") as fetch, bars.meter("load", 1, "series") as load:
            fetch.advance(detail="NSE:INFY")
            logging.getLogger("kitepipe.x").info("a line between")
            fetch.grow(-1)
            fetch.advance()
            load.advance()
    """
)


def test_a_terminal_shows_bars_and_log_lines_between_them() -> None:
    """On a terminal: done of planned in live bars, lines above them, stdout untouched."""
    ours, theirs = pty.openpty()
    environ = ENVIRON | {"TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen(
        [sys.executable, "-c", _BARS], stderr=theirs, stdout=subprocess.PIPE, env=environ
    )
    os.close(theirs)
    shown = _read_all(ours)
    out, _ = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, b"")
    assert "a line between" in shown
    assert "2 of 2 requests" in shown
    assert "1 of 1 series" in shown


def _read_all(terminal_end: int) -> str:
    shown = b""
    with os.fdopen(terminal_end, "rb", buffering=0) as stream:
        while True:
            try:
                piece = stream.read(4096)
            except OSError:  # Linux says EIO when the last writer is gone
                break
            if not piece:
                break
            shown += piece
    return shown.decode()
