"""Holes against the sandbox: named, told from what is none, asked again, in the end believed."""

import json
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import psycopg2

from kitepipe import pipeline
from kitepipe.model import GapKind, Interval, Window
from kitepipe.progress import Silent
from kitepipe.settings import Settings
from tests.fetch_help import fetch, settings_for
from tests.gap_help import BEGIN, LOST, Place, hole
from tests.load_help import candles
from tests.sandbox_asking import ist, sandbox
from tests.servers import Look, Rows


def test_a_run_that_leaves_a_hole_names_it_and_never_ends_with_0(tmp_path: Path) -> None:
    """Two of three traded, so that was a session; the search for it costs no request."""
    with sandbox() as kite:
        place = Place(kite, tmp_path)
        place.lose("INFY", LOST)
        report = place.fetch()
        assert (report.exit_code, report.requests, report.failures) == (3, 3, [])
        assert report.holes == [hole("NSE:INFY day", LOST)]
        status = place.status()
        assert (status.exit_code, place.gaps(GapKind.HOLE)) == (3, report.holes)
        assert pipeline.status(place.settings).exit_code == 0  # nobody asked


def test_repair_asks_the_holes_and_three_days_that_agree_end_it(tmp_path: Path) -> None:
    """One request a day and no second one on a day; then it is absent at source, and no error.

    What is near enough goes into one window, and the window holds the session that the days share.
    """
    days = [LOST, LOST + timedelta(1), date(2026, 11, 11)]
    with sandbox() as kite:
        place = Place(kite, tmp_path)
        place.lose("INFY", *days)
        assert place.fetch().exit_code == 3
        assert place.fetch(repair=True).requests == 0
        for evening in (1, 2):
            report = place.fetch(evening, repair=True)
            window = Window(LOST, date(2026, 11, 16))
            assert place.asked() == [("INFY", window)]
            assert (report.exit_code, len(report.holes)) == ((3, 2) if evening == 1 else (0, 0))
            assert place.fetch(evening, repair=True).requests == 0
        assert place.fetch(3, repair=True).requests == 0
        status = place.status()
    absent = [gap for gap in status.gaps or [] if gap.kind is GapKind.ABSENT]
    assert [(gap.first, gap.sessions, gap.confirmed) for gap in absent] == [
        (LOST, 2, 3),
        (days[2], 1, 3),
    ]
    assert (status.exit_code, place.gaps(GapKind.HOLE)) == (0, [])


def test_a_hole_that_kite_fills_ends_as_a_later_download(
    tmp_path: Path, warehouse_dsn: str, look: Look
) -> None:
    """After the repair the table holds what a single download after everything would bring."""
    with sandbox() as kite:
        place = Place(kite, tmp_path, dsn=warehouse_dsn)
        place.lose("INFY", LOST)
        filled, at = ist(2026, 11, 17, 12), ist(2026, 10, 7)
        kite.correct("INFY", "day", at, since=filled, open=1490, high=1510, low=1480, close=1500)
        place.fetch()
        pipeline.load(place.settings, Silent())
        assert place.fetch(1, repair=True).exit_code == 0
        assert (len(place.asked()), place.gaps(GapKind.HOLE)) == (1, [])
        assert pipeline.load(place.settings, Silent()).new == 1
        place.fetch(1)
        pipeline.load(place.settings, Silent())
        found = candles(look)
        other = settings_for(kite, tmp_path / "later.duckdb", bootstrap_date=BEGIN)
        fetch(kite, other)
        fresh = _only(other, warehouse_dsn, look)
    assert found == fresh


def _only(settings: Settings, dsn: str, look: Look) -> Rows:
    """Return the table that only these replies fill."""
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "truncate kite_ohlcv_historic, kite_series, kite_load_ledger, kite_quarantine cascade"
        )
        connection.commit()
    pipeline.load(replace(settings, dsn=dsn), Silent())
    return candles(look)


def test_a_suspended_stock_does_not_turn_every_night_red(tmp_path: Path) -> None:
    """Red until three replies agree that it stopped; from then on its silence is a suspension."""
    codes = []
    with sandbox() as kite:
        place = Place(kite, tmp_path)
        place.lose("INFY", *(date(2026, 11, day) for day in (17, 18, 19, 20)))
        for day in (16, 17, 18, 19, 20, 23):  # a day without a candle settles when it is over
            kite.set_now(ist(2026, 11, day, 20))
            codes.append(fetch(kite, place.settings).exit_code)
        found = place.gaps(GapKind.HOLE, GapKind.ABSENT, GapKind.SUSPENDED)
    assert codes == [0, 0, 3, 3, 0, 0]
    assert [(gap.kind, gap.first.day, gap.confirmed) for gap in found] == [
        (GapKind.ABSENT, 17, 4),
        (GapKind.ABSENT, 18, 3),
        (GapKind.SUSPENDED, 19, 2),
        (GapKind.SUSPENDED, 20, 1),
    ]


def test_a_long_silence_is_a_suspension_at_once(tmp_path: Path) -> None:
    """Four weeks without a candle in any interval are no fault of a feed."""
    days = [date(2026, 10, 1) + timedelta(n) for n in range(31)]
    with sandbox() as kite:
        place = Place(kite, tmp_path)
        place.lose("INFY", *days)
        assert place.fetch().exit_code == 0
        (found,) = place.gaps(GapKind.HOLE, GapKind.SUSPENDED)
    assert (found.kind, found.series) == (GapKind.SUSPENDED, "NSE:INFY day")
    assert (found.first, found.last) == (date(2026, 10, 1), date(2026, 10, 30))


def test_a_silence_in_one_interval_alone_is_a_hole_however_long(tmp_path: Path) -> None:
    """It traded: the other interval says so. One instrument is enough to see that."""
    days = [date(2026, 10, 1) + timedelta(n) for n in range(31)]
    with sandbox() as kite:
        place = Place(
            kite, tmp_path, tradingsymbols=("INFY",), candle_interval=tuple(Interval)[-2:]
        )
        place.lose("INFY", *days)
        assert place.fetch().exit_code == 3
        found = place.gaps(GapKind.HOLE, GapKind.SUSPENDED)
    assert {gap.series for gap in found} == {"NSE:INFY day"}
    assert found[0].first == date(2026, 10, 1)


def test_the_command_line_names_holes_and_ends_with_3(tmp_path: Path) -> None:
    """As text and as JSON, from the staging file alone; --repair is a plan of its own."""
    with sandbox() as kite:
        place = Place(kite, tmp_path)
        place.lose("INFY", LOST)
        place.fetch()
    command = [sys.executable, "-m", "kitepipe", "status", "--gaps"]
    command += ["--staging", str(place.settings.staging)]
    text = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    told = subprocess.run([*command, "--json"], capture_output=True, check=False, cwd=tmp_path)
    assert (text.returncode, told.returncode) == (3, 3)
    assert f"NSE:INFY day {LOST}: no candle, seen on 1 day\n" in text.stdout
    found = [gap for gap in json.loads(told.stdout)["gaps"] if gap["kind"] == "hole"]
    assert [(gap["series"], gap["first"], gap["sessions"]) for gap in found] == [
        ("NSE:INFY day", LOST.isoformat(), 1)
    ]
    both = [*command[:3], "fetch", "--refetch", "--repair"]
    refused = subprocess.run(both, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (refused.returncode, "choose one" in refused.stderr) == (2, True)
