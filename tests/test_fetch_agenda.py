"""What SQL plans for all series at once, held against what Python plans for each."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kitepipe.fetch_agenda import agenda_of, plan_agenda
from kitepipe.fetch_plan import Horizon, plan_jobs
from kitepipe.fetch_queue import Job
from kitepipe.filters import InstrumentFilter
from kitepipe.model import Interval, Series, Window
from kitepipe.plan import Bounds
from kitepipe.staging import Cursor, Staging, naive
from kitepipe.staging_series import keep_oi, note_known, select_noted
from kitepipe.staging_wanted import select_series, want_instruments
from tests.marks import examples
from tests.sandbox_asking import ist
from tests.staging_help import API_ROOT, INFY

NOW = ist(2026, 11, 20, 20)
TODAY = NOW.date()
DAY = timedelta(days=1)
ANY = Window(TODAY, TODAY)
MARGIN = timedelta(minutes=15)
KINDS = [*(interval.value for interval in Interval), "probe"]
# How long ago: around the caps of windows, around EMPTY_DAYS, and beyond all that there is.
AGO = st.one_of(st.integers(0, 70), st.integers(0, 420), st.integers(1900, 6100), st.just(12_000))


@dataclass(frozen=True)
class Told:
    """One reply to hand in: its dates count back from today, its sessions from its last date."""

    key: int
    kind: str
    ago: int
    days: int
    sessions: tuple[int, ...]
    hours: int
    oi: bool


@dataclass(frozen=True)
class Night:
    """What is listed (by the days until it expires; None: never), told before, and wanted."""

    expiries: list[int | None]
    told: list[Told]
    rebased: list[int]
    intervals: list[Interval]
    bounds: Bounds
    bootstrap: date
    oi: bool
    continuous: bool


@st.composite
def replies(draw: st.DrawFn) -> Told:
    """Return a reply of one of three instruments; the continuous future of the first is -1."""
    days = draw(st.one_of(st.integers(1, 60), st.integers(1, 7000)))
    ago = draw(AGO)
    return Told(
        draw(st.sampled_from([1, 2, 3, -1])),
        draw(st.sampled_from(["day", "day", "probe", "minute", "60minute"])),
        ago,
        min(days, ago + 1) if draw(st.booleans()) else days,
        tuple(draw(st.lists(st.integers(0, days - 1), max_size=2))),
        draw(st.integers(0, 60)),
        draw(st.booleans()),
    )


@st.composite
def nights(draw: st.DrawFn) -> Night:
    """Return all that a plan depends on."""
    dates = st.none() | AGO.map(lambda ago: TODAY - ago * DAY)
    bounds = Bounds(draw(dates), draw(dates), refetch=draw(st.booleans()))
    return Night(
        draw(st.lists(st.none() | st.integers(-9, 40), min_size=1, max_size=3)),
        draw(st.lists(replies(), max_size=8)),
        draw(st.lists(st.sampled_from([1, 2, -1]), max_size=1)),
        draw(st.lists(st.sampled_from(Interval), min_size=1, max_size=4, unique=True)),
        bounds if draw(st.booleans()) else Bounds(),
        draw(st.sampled_from([date(1995, 1, 1), date(2015, 2, 1), date(2026, 1, 1)])),
        draw(st.booleans()),
        draw(st.booleans()),
    )


@pytest.fixture(scope="module")
def cursor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cursor]:
    """A cursor of a new staging file; each example is rolled back."""
    path: Path = tmp_path_factory.mktemp("agenda") / "kitepipe.duckdb"
    with Staging.write(path, API_ROOT) as staging, staging.cursor() as cursor:
        yield cursor


def _list(cursor: Cursor, expiries: list[int | None]) -> None:
    cursor.execute("insert into snapshot values (1, ?, '', '', 0)", [naive(NOW)])
    for number, until in enumerate(expiries, start=1):
        expiry = None if until is None else TODAY + until * DAY
        exchange, kind = ("NSE", "EQ") if expiry is None else ("NFO", "FUT")
        name = f"S{number}"
        cursor.execute(
            "insert into instrument values (1, ?, ?, 1, ?, ?, ?, ?, ?, ?, 0, 0.05, 1, false)",
            [number, number * 256, exchange, name, name, kind, exchange, expiry],
        )


def _tell(cursor: Cursor, number: int, one: Told) -> None:
    """Hand in a reply, on the evening of its last date or a little later."""
    last = TODAY - one.ago * DAY
    first = last - (one.days - 1) * DAY
    days = [last - back * DAY for back in one.sessions]
    at = naive(min(ist(last.year, last.month, last.day, 18) + timedelta(hours=one.hours), NOW))
    cursor.execute(
        "insert into chunk values (?, ?, 1, '', '', 1, ?, ?, ?, ?, ?, timestamp '1970-01-01', ?, "
        "1, null)",
        [number, one.key, one.kind, first, last, one.oi, one.key < 0, at],
    )
    oldest, newest = min(days, default=None), max(days, default=None)
    cursor.execute(
        "insert into reply values (?, ?, '', 1, ?, ?, 1, ?, ?, ?, ?, [], [])",
        [number, number, at, at, oldest, newest, newest, last],
    )


def _prepare(cursor: Cursor, night: Night) -> None:
    _list(cursor, night.expiries)
    for number, one in enumerate(night.told, start=1):
        _tell(cursor, number, one)
    for key in night.rebased:
        cursor.execute(
            "insert into rebase values (?, 'day', ?, ?, 0.5, ?, 1)",
            [key, key < 0, naive(NOW - 100 * DAY), TODAY - 100 * DAY],
        )
    continuous = night.continuous and Interval.DAY in night.intervals
    want_instruments(cursor, InstrumentFilter(), continuous=continuous)
    note_known(cursor, oi=night.oi)


# What a contract was asked for before its last day was moved to an earlier one.
_AFTER_ITS_END = Told(1, "day", 0, 1, (), 0, False)


@settings(max_examples=examples(50), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(night=nights())
@example(
    night=Night(
        [-2], [_AFTER_ITS_END], [], [Interval.DAY], Bounds(), date(1995, 1, 1), False, False
    )
)
def test_sql_plans_what_python_plans(cursor: Cursor, night: Night) -> None:
    """The same series in the same order, with as many requests, between the same dates.

    Whatever is known (holes, several epochs, oi switched on, a search that goes on or is over, a
    probe, another period) and wanted (contracts that expire soon, continuous futures, bounds).
    """
    horizon = Horizon(night.bounds, night.bootstrap, NOW, MARGIN)
    cursor.execute("begin")
    try:
        _prepare(cursor, night)
        series = select_series(cursor, night.intervals, oi=night.oi)
        known = select_noted(cursor)
        jobs = plan_jobs(keep_oi(series, known), known, horizon)
        agenda = plan_agenda(cursor, night.intervals, horizon, oi=night.oi)
        lines, planned = agenda.lines(), [job for lane in agenda.in_turn() for job in lane]
    finally:
        cursor.execute("rollback")
    expected = agenda_of(jobs)
    assert lines == expected.lines()
    assert [job.windows for job in planned] == [job.windows for job in jobs]
    assert [(job.series, job.life, job.after is None) for job in planned] == [
        (job.series, job.life, job.after is None) for job in jobs
    ]
    assert (agenda.instruments, agenda.series, agenda.requests, agenda.days, agenda.since) == (
        *(expected.instruments, expected.series, expected.requests, expected.days),
        expected.since,
    )


def test_jobs_are_made_when_their_turn_is_near(cursor: Cursor) -> None:
    """Of 250 instruments those of the first page are made with the first, and no other."""
    horizon = Horizon(Bounds(), date(1995, 1, 1), NOW, MARGIN)
    cursor.execute("begin")
    try:
        _prepare(cursor, Night([None] * 250, [], [], [Interval.DAY], Bounds(), TODAY, False, False))
        agenda = plan_agenda(cursor, [Interval.DAY], horizon, oi=False)
        lanes = agenda.in_turn()
        next(lanes)
        cursor.execute("delete from planned")
        made = 1 + sum(1 for _ in lanes)
    finally:
        cursor.execute("rollback")
    assert (agenda.instruments, made) == (250, 100)


def test_what_is_over_is_not_kept() -> None:
    """A run of days remembers the instruments that are at work, not all that it has asked."""
    series = Series(1, INFY, Interval.DAY, 1)
    jobs = [Job(replace(series, instrument_key=n), deque(), ANY, TODAY) for n in range(5000)]
    agenda, most = agenda_of(jobs), 0
    for lane in agenda.in_turn():
        most = max(most, len(agenda.begun))
        assert agenda.begun[-1] is lane
        lane.clear()
    assert most < 500
