"""History that is re-based between runs or amid them ends as one download made afterwards."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, date, timedelta
from pathlib import Path
from typing import Any

import pytest

from kitepipe import pipeline
from kitepipe.model import Interval, utc_now
from kitepipe.progress import Silent
from kitepipe.sandbox import Sandbox
from tests.end_state_help import Course, Table, differing, downloaded, table
from tests.fetch_help import Watching, rows
from tests.sandbox_asking import ist, sandbox
from tests.servers import Template, looking

BOTH = (Interval.DAY, Interval.MINUTE_60)
WEDNESDAY, THURSDAY, FRIDAY = (ist(2026, 11, day, 20) for day in (18, 19, 20))
SUNDAY = ist(2026, 11, 22, 12)


@pytest.fixture
def kite() -> Iterator[Sandbox]:
    """A sandbox whose clock each run moves."""
    with sandbox(other_rate_limit=1000, api_key="end_state", now=WEDNESDAY) as server:
        yield server


@pytest.fixture
def course(kite: Sandbox, tmp_path: Path, warehouse_dsn: str) -> Course:
    """INFY by day and hour, in four requests."""
    return Course(
        *(kite, tmp_path, warehouse_dsn),
        tradingsymbols=("INFY",),
        candle_interval=BOTH,
        bootstrap_date=date(2024, 1, 1),
    )


def _ratios(course: Course) -> list[tuple[str, float]]:
    return rows(course.settings.staging, "select interval, ratio from rebase order by epoch")


def _of_one_base(seen: Iterable[frozenset[Any]], *bases: Table) -> None:
    """Whenever somebody looked, each interval stood on one of these bases as a whole."""
    for state in seen:
        for interval in {row[4] for row in state}:
            part = {row for row in state if row[4] == interval}
            assert any(part <= base for base in bases), f"{interval}: half of each"


@pytest.mark.parametrize("ratio", [2, 0.2, 1.045])
def test_a_history_re_based_between_runs(
    ratio: float, course: Course, warehouse_template: Template, tmp_path: Path
) -> None:
    """A split, a consolidation, a large dividend: noticed at the cost of no request."""
    course.run(WEDNESDAY)
    first = course.requests
    course.kite.split("INFY", THURSDAY.date(), ratio)
    with course.watched() as seen:
        report = course.run(THURSDAY)
    assert len(report.fetch.rebased) == len(BOTH)
    assert dict(_ratios(course)) == {i.value: pytest.approx(1 / ratio, rel=2e-3) for i in BOTH}
    assert course.requests == first + len(BOTH)
    final = downloaded(course, warehouse_template, tmp_path / "fresh")
    assert differing(course.seen[-1], final) == []
    _of_one_base(seen, course.seen[0], final)
    course.run()
    assert course.requests == 0


FIRST_DOWNLOADS = {
    "day": ("INFY", Interval.DAY, date(2008, 1, 1)),
    "day, listed in 2021": ("ETERNAL", Interval.DAY, date(1995, 1, 1)),
    "60minute": ("INFY", Interval.MINUTE_60, date(2023, 6, 1)),
    "60minute, listed in 2021": ("ETERNAL", Interval.MINUTE_60, date(1995, 1, 1)),
}


@pytest.mark.parametrize(
    ("what", "bounds"),
    [
        ("day", (2, 1)),
        ("day, listed in 2021", (1, 1, 1)),
        ("60minute", (2, 1)),
        ("60minute, listed in 2021", (2,)),
    ],
)
def test_a_split_amid_a_first_download(
    what: str, bounds: tuple[int, ...], kite: Sandbox, tmp_path: Path, warehouse_dsn: str,
    warehouse_template: Template,
) -> None:  # fmt: skip
    """Begun on Wednesday, split on Thursday, gone on with in pieces: whole, and on one base."""
    symbol, interval, begin = FIRST_DOWNLOADS[what]
    course = Course(
        *(kite, tmp_path, warehouse_dsn),
        tradingsymbols=(symbol,),
        candle_interval=(interval,),
        bootstrap_date=begin,
    )
    kite.set_now(WEDNESDAY)
    old = downloaded(course, warehouse_template, tmp_path / "old")
    course.run(WEDNESDAY, max_requests=bounds[0])
    kite.split(symbol, THURSDAY.date(), 2)
    with course.watched() as seen:
        for number in bounds[1:]:
            course.run(THURSDAY, max_requests=number)
        course.run(FRIDAY)
        assert course.run(FRIDAY).exit_code == 0
    assert course.requests == 0
    final = downloaded(course, warehouse_template, tmp_path / "fresh")
    assert differing(course.seen[-1], final) == []
    _of_one_base([*seen, *map(frozenset, course.seen)], old, final)


def test_a_second_split_amid_the_download_after_the_first(
    kite: Sandbox, tmp_path: Path, warehouse_dsn: str, warehouse_template: Template
) -> None:
    """Interrupted day after day: the table keeps the old base until a new one is whole."""
    course = Course(
        *(kite, tmp_path, warehouse_dsn),
        tradingsymbols=("INFY",),
        candle_interval=BOTH,
        bootstrap_date=date(2023, 1, 1),
    )
    course.run(WEDNESDAY)
    replies, between_both = _replies(course), THURSDAY - timedelta(hours=8)
    with course.watched() as seen:
        kite.split("INFY", THURSDAY.date(), 2)
        course.run(THURSDAY, max_requests=2)
        course.run(THURSDAY, max_requests=1)
        between = downloaded(course, warehouse_template, tmp_path / "between")
        kite.split("INFY", FRIDAY.date(), 5)
        course.run(FRIDAY, max_requests=3)
        course.run(FRIDAY, max_requests=3)
        course.run(SUNDAY)
    final = downloaded(course, warehouse_template, tmp_path / "fresh")
    assert differing(course.seen[-1], final) == []
    _of_one_base(seen, course.seen[0], between, final)
    assert _replies(course)[: len(replies)] == replies, "old replies stay in staging"
    with warehouse_template.database() as dsn:
        elsewhere = replace(course.settings, dsn=dsn)
        pipeline.replay(elsewhere, Silent(), as_of=between_both.astimezone(UTC))
        with looking(dsn) as look:
            assert differing(table(look), course.seen[0]) == []


def _replies(course: Course) -> list[tuple[Any, ...]]:
    return rows(
        course.settings.staging,
        "select reply_id, md5(body) from reply join body using (reply_id) order by 1",
    )


def test_a_run_that_goes_on_over_eight(
    course: Course, warehouse_template: Template, tmp_path: Path
) -> None:
    """The history is re-based while a run is under way, and the table never shows it by half."""
    kite = course.kite
    kite.split("INFY", THURSDAY.date(), 2)
    kite.set_now(WEDNESDAY)
    old = downloaded(course, warehouse_template, tmp_path / "old")
    at_eight = ist(2026, 11, 19, 8, 1)
    morning = Watching(lambda done: kite.set_now(at_eight) if done == 2 else None)
    with course.watched() as seen:
        course.run(WEDNESDAY, morning)
        course.run(THURSDAY)
    final = downloaded(course, warehouse_template, tmp_path / "fresh")
    assert differing(course.seen[-1], final) == []
    _of_one_base(seen, old, final)


def test_oi_switched_on_after_a_split(
    course: Course, warehouse_template: Template, tmp_path: Path
) -> None:
    """All is asked again for oi's sake: prices of the old base do not stay beside the new."""
    course.run(WEDNESDAY)
    course.kite.split("INFY", THURSDAY.date(), 2)
    course.settings = replace(course.settings, oi=True)
    with course.watched() as seen:
        for _ in range(4):
            course.run(THURSDAY, max_requests=1)
    course.run(THURSDAY)
    final = downloaded(course, warehouse_template, tmp_path / "fresh")
    assert differing(course.seen[-1], final) == []
    _of_one_base(seen, course.seen[0], final)


# By interval and open: prices as factors of the close on the new base.
CORRECTIONS: dict[str, list[tuple[str, Any, dict[str, Any]]]] = {
    "a close of the shared session": [("day", ist(2026, 11, 18), {"close": 1.05})],
    "an hour of the shared session": [
        ("60minute", ist(2026, 11, 18, 11, 15), {"high": 1.2, "close": 1.1})
    ],
    "an hour that vanishes": [("60minute", ist(2026, 11, 18, 12, 15), {"gone": True})],
    "a volume, and a day long before": [
        ("day", ist(2026, 11, 18), {"volume": 77}),
        ("day", ist(2025, 3, 5), {"high": 1.3, "close": 1.1}),
    ],
}


@pytest.mark.parametrize("what", CORRECTIONS)
def test_corrections_on_the_day_of_a_split(
    what: str, course: Course, warehouse_template: Template, tmp_path: Path
) -> None:
    """Both are noticed: the table has the new base, and the corrected candles."""
    course.run(WEDNESDAY)
    for interval, at, changes in CORRECTIONS[what]:
        price = _close(course, interval, at) / 2
        factors = {"high", "close"}
        values = {k: round(v * price, 2) if k in factors else v for k, v in changes.items()}
        course.kite.correct("INFY", interval, at, since=THURSDAY, **values)
    course.kite.split("INFY", THURSDAY.date(), 2)
    assert len(course.run(THURSDAY).fetch.rebased) == len(BOTH)
    final = downloaded(course, warehouse_template, tmp_path / "fresh")
    assert differing(course.seen[-1], final) == []


def test_a_clock_that_is_set_back_changes_no_order(
    course: Course, warehouse_template: Template, tmp_path: Path
) -> None:
    """What was fetched while it was a month ahead is older all the same than what came after."""
    course.run(WEDNESDAY, ahead=timedelta(days=30))
    course.kite.split("INFY", THURSDAY.date(), 2)
    assert len(course.run(THURSDAY).fetch.rebased) == len(BOTH)
    final = downloaded(course, warehouse_template, tmp_path / "fresh")
    assert differing(course.seen[-1], final) == []


@pytest.mark.parametrize("ahead", [timedelta(minutes=4), timedelta(days=30)])
def test_a_clock_that_is_ahead_outdoes_no_other_file(
    ahead: timedelta,
    kite: Sandbox,
    tmp_path: Path,
    warehouse_dsn: str,
    warehouse_template: Template,
) -> None:
    """Of two files that fill one table the later reply decides, by Kite's clock."""
    courses = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        courses.append(
            Course(
                *(kite, tmp_path / name, warehouse_dsn),
                tradingsymbols=("INFY",),
                candle_interval=(Interval.DAY,),
                bootstrap_date=date(2026, 1, 1),
            )
        )
    one, other = courses
    one.run(WEDNESDAY, ahead=WEDNESDAY + ahead - utc_now())
    kite.correct("INFY", "day", ist(2026, 11, 17), volume=7)
    later = WEDNESDAY + timedelta(minutes=1)
    other.run(later, ahead=later - utc_now(), from_scratch=True)
    final = downloaded(other, warehouse_template, tmp_path / "fresh")
    assert differing(one.seen[-1], final) != []
    assert differing(other.seen[-1], final) == []


def _close(course: Course, interval: str, at: Any) -> float:
    utc = str(at.astimezone(UTC).replace(tzinfo=None))
    [close] = [row[9] for row in course.seen[0] if row[4:6] == (interval, utc)]
    return float(close)


@pytest.mark.parametrize("factor", [0.73, 0.5])
def test_a_real_move_is_not_a_new_base(
    factor: float, course: Course, warehouse_template: Template, tmp_path: Path
) -> None:
    """A share that halves in a day is not one that was split: nothing is asked again."""
    course.run(WEDNESDAY)
    price = round(_close(course, "day", ist(2026, 11, 18)) * factor, 2)
    prices: dict[str, Any] = dict.fromkeys(("open", "high", "low", "close"), price)
    course.kite.correct("INFY", "day", ist(2026, 11, 19), **prices)
    for hour in range(9, 16):
        course.kite.correct("INFY", "60minute", ist(2026, 11, 19, hour, 15), **prices)
    report = course.run(THURSDAY)
    assert (report.fetch.rebased, course.requests, report.load.changed) == ([], 2, 0)
    final = downloaded(course, warehouse_template, tmp_path / "fresh")
    assert differing(course.seen[-1], final) == []
