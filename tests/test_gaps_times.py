"""The candle times that a short session lacks, beside the whole session that has them."""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from kitepipe import pipeline
from kitepipe.model import IST, GapKind, Interval, Times, Window
from kitepipe.progress import Silent
from kitepipe.sandbox import Sandbox
from kitepipe.staging import Staging
from kitepipe.staging_gap_times import ShortSession, missing_times
from kitepipe.staging_replies import ReplyWriter
from tests.gap_help import LOST, Place
from tests.sandbox_asking import ist, sandbox
from tests.staging_help import API_ROOT, body, commit, series

QUARTER = (Interval.MINUTE_15,)
LACKS = ["10:12", "10:13", "10:14", "10:19", "13:45"]


@pytest.fixture
def kite() -> Iterator[Sandbox]:
    """A sandbox without a limit."""
    with sandbox() as server:
        yield server


def _lose(kite: Sandbox, symbol: str, day: int, *times: tuple[int, int]) -> None:
    for hour, minute in times:
        kite.correct(symbol, "15minute", ist(2026, 10, day, hour, minute), gone=True)


def test_the_missing_times_are_named_beside_a_peer_of_that_day(
    kite: Sandbox, tmp_path: Path
) -> None:
    """In the run's own report, as text and as JSON; each short session by itself."""
    _lose(kite, "TCS", 7, (10, 15), (10, 30), (13, 45))
    _lose(kite, "TCS", 8, (9, 15))
    place = Place(kite, tmp_path, candle_interval=QUARTER)
    holes = place.fetch().holes
    assert [(one.first, one.times, one.like) for one in holes] == [
        (LOST, (Times("10:15", "10:30", 2), Times("13:45", "13:45", 1)), f"NSE:INFY {LOST}"),
        (date(2026, 10, 8), (Times("09:15", "09:15", 1),), "NSE:INFY 2026-10-08"),
    ]
    command = [sys.executable, "-m", "kitepipe", "status", "--gaps"]
    command += ["--staging", str(place.settings.staging)]
    text = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (
        f"NSE:TCS 15minute {LOST}: no 10:15 .. 10:30 (2 candles), 13:45, "
        f"which NSE:INFY {LOST} has, seen on 1 day\n"
    ) in text.stdout
    told = subprocess.run([*command, "--json"], capture_output=True, check=False, cwd=tmp_path)
    found = [gap for gap in json.loads(told.stdout)["gaps"] if gap["kind"] == "hole"]
    assert found[0]["times"] == [
        {"first": "10:15", "last": "10:30", "candles": 2},
        {"first": "13:45", "last": "13:45", "candles": 1},
    ]


def test_without_a_peer_it_is_the_nearest_whole_session_of_its_own(
    kite: Sandbox, tmp_path: Path
) -> None:
    """One instrument alone, which another interval shows to have traded all day."""
    _lose(kite, "INFY", 7, (11, 0))
    place = Place(
        kite, tmp_path, tradingsymbols=("INFY",),
        candle_interval=(Interval.MINUTE_15, Interval.MINUTE_60),
    )  # fmt: skip
    [found] = place.fetch().holes
    assert (found.times, found.like) == ((Times("11:00", "11:00", 1),), "NSE:INFY 2026-10-06")


def test_as_many_candles_at_other_times_are_no_claim(kite: Sandbox, tmp_path: Path) -> None:
    """Numbers are compared, and times only where the number is short."""
    _lose(kite, "TCS", 7, (11, 0))
    kite.correct("TCS", "15minute", ist(2026, 10, 7, 16), close=100, high=100, low=100, open=100)
    place = Place(kite, tmp_path, candle_interval=QUARTER)
    assert place.fetch().exit_code == 0
    assert place.gaps(GapKind.HOLE) == []


def _candle(at: datetime, form: str) -> object:
    price: list[object] = [1, 1, 1, 1, 0]
    if form == "object":
        names = ("timestamp", "open", "high", "low", "close", "volume")
        return dict(zip(names, [at.isoformat(), *price], strict=True))
    return [at.astimezone(UTC).isoformat() if form == "utc" else at.isoformat(), *price]


@pytest.mark.parametrize("form", ["array", "utc", "object"])
def test_times_are_indian_in_whatever_form_a_candle_comes(form: str, tmp_path: Path) -> None:
    """Arrays, objects, other offsets; and runs follow the candles of the whole session."""
    opens = [datetime(2026, 10, 7, 9, 15, tzinfo=IST) + timedelta(minutes=n) for n in range(375)]
    kept = [at for at in opens if f"{at:%H:%M}" not in LACKS]
    window = Window(LOST, LOST)
    with (
        Staging.write(tmp_path / "s.duckdb", API_ROOT) as staging,
        ReplyWriter(staging) as writer,
        staging.cursor() as cursor,
    ):
        of, ids = series(interval=Interval.MINUTE), []
        for kind, some in (("array", opens), (form, kept)):
            text = body([_candle(at, kind) for at in some])
            ids.append(commit(writer, of, window, text))
        session = ShortSession(ids[1], LOST, ids[0], LOST)
        assert missing_times(cursor, [session])[session] == (
            Times("10:12", "10:14", 3),
            Times("10:19", "10:19", 1),
            Times("13:45", "13:45", 1),
        )


@pytest.mark.parametrize("in_reach", [True, False])
def test_an_archive_out_of_reach_costs_the_times_and_no_more(
    kite: Sandbox, tmp_path: Path, warehouse_dsn: str, in_reach: bool
) -> None:
    """The hole is told all the same, by status and by a fetch that looks again."""
    _lose(kite, "TCS", 7, (11, 0))
    far = tmp_path / "far"
    place = Place(kite, tmp_path, candle_interval=QUARTER, archive=far, dsn=warehouse_dsn)
    place.fetch(last=date(2026, 10, 10))
    place.fetch()  # its replies are what a next fetch compares with: they stay
    with (
        Staging.write(place.settings.staging, place.settings.api_root) as staging,
        ReplyWriter(staging) as writer,
    ):
        writer._seal()
    pipeline.load(place.settings, Silent())
    assert pipeline.archive(place.settings, Silent()).replies > 0
    if not in_reach:
        far.rename(tmp_path / "farther")
    [gap] = place.gaps(GapKind.HOLE)
    assert (gap.first, bool(gap.times)) == (LOST, in_reach)
    assert [one.first for one in place.fetch(1, repair=True).holes] == [LOST]
