"""The sandbox serves a folder of candles as it is: digit for digit, in the order of the files."""

import csv
import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
import requests

from kitepipe.errors import UsageError
from kitepipe.model import IST, Interval
from kitepipe.sandbox import Sandbox
from tests.sandbox_asking import ask, candles, ist, refusal, sandbox

INSTRUMENTS = (
    "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,"
    "lot_size,instrument_type,segment,exchange\r\n"
    '519937,2031,M&M,"MAHINDRA, MAHINDRA",0.0,,0,0.10,1,EQ,NSE,NSE\r\n'
    "408065,1594,INFY,INFOSYS,0,,0,0.1,1,EQ,NSE,NSE\r\n"
)
MINUTES = (
    "date,open,high,low,close,volume,oi\n"
    "2026-11-19T09:16:00+05:30,183.0,183.10,182,183.05,20,0\n"
    "2026-11-19T09:15:00+05:30,182.5,183.0,182.5,183.0,10,0\n"
    "2026-11-19T09:17:00+05:30,183,184.0000000001,183,184,30,0\n"
)
DAYS = (
    "date,open,high,low,close,volume,oi\r\n"
    "2026-11-19T00:00:00+05:30,183.0,190.05,180.1,185,1001,7\r\n"
    "2026-11-20T00:00:00+05:30,185.0,186,184,185.5,500,8\r\n"
)
DAY = ("M&M", "day", "2026-11-01", "2026-11-30")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two instruments, one of them with files."""
    for interval, text in (("minute", MINUTES), ("day", DAYS)):
        (tmp_path / interval).mkdir()
        (tmp_path / interval / "NSE-M&M.csv").write_text(text, newline="")
    (tmp_path / "instruments.csv").write_text(INSTRUMENTS, newline="")
    return tmp_path


@pytest.fixture
def kite(folder: Path) -> Iterator[Sandbox]:
    """A sandbox that serves them."""
    with sandbox(data=folder) as running:
        yield running


def test_values_pass_digit_for_digit_in_the_order_of_the_file(kite: Sandbox) -> None:
    """Rows out of time stay so; 183.0 stays 183.0; dates become Kite's form."""
    reply = ask(kite, "M&M", "minute", "2026-11-19 00:00:00", "2026-11-19 23:59:59")
    assert reply.text == (
        '{"status":"success","data":{"candles":['
        '["2026-11-19T09:16:00+0530",183.0,183.10,182,183.05,20],'
        '["2026-11-19T09:15:00+0530",182.5,183.0,182.5,183.0,10],'
        '["2026-11-19T09:17:00+0530",183,184.0000000001,183,184,30]]}}'
    )


def test_the_window_filters_and_oi_is_passed(kite: Sandbox) -> None:
    """Inclusive on the open, with the file's own oi."""
    window = ("2026-11-19 09:15:00", "2026-11-19 09:16:00")
    assert len(candles(kite, "M&M", "minute", *window)) == 2
    assert [one[6] for one in candles(kite, *DAY, oi=1)] == [7, 8]


def test_the_dump_is_the_file(kite: Sandbox) -> None:
    """To the byte, and by exchange."""
    assert requests.get(f"{kite.url}/instruments", timeout=10).text == INSTRUMENTS
    assert requests.get(f"{kite.url}/instruments/NSE", timeout=10).text == INSTRUMENTS
    header = INSTRUMENTS.partition("\n")[0] + "\n"
    assert requests.get(f"{kite.url}/instruments/BSE", timeout=10).text == header


def test_a_listed_token_without_a_file_is_empty_an_unlisted_one_refused(kite: Sandbox) -> None:
    """As on Kite: no data is an answer, a dead token an error."""
    assert candles(kite, "INFY", "day", "2026-11-01", "2026-11-30") == []
    assert candles(kite, "M&M", "60minute", "2026-11-01", "2026-11-30") == []
    reply = ask(kite, 1, "day", "2026-11-01 00:00:00", "2026-11-30 23:59:59")
    assert refusal(reply) == (400, "InputException", "invalid token")


def test_the_clock_cuts_files_too(kite: Sandbox) -> None:
    """What forms is partial, what lies ahead is absent."""
    final = candles(kite, *DAY)
    kite.set_now(ist(2026, 11, 19, 12))
    forming = candles(kite, *DAY)
    assert [one[0] for one in forming] == [final[0][0]]
    assert forming[0][5] < final[0][5]
    assert forming[0][4] != final[0][4]
    kite.set_now(ist(2026, 11, 19, 9))
    assert candles(kite, *DAY) == []


def test_splits_and_corrections_work_on_files(kite: Sandbox) -> None:
    """Divided and rounded to 0.05 before the ex-date; a candle may change after that."""
    kite.split("M&M", date(2026, 11, 20), 2)
    kite.correct("M&M", "day", ist(2026, 11, 20), volume=1)
    assert candles(kite, *DAY) == [
        ["2026-11-19T00:00:00+0530", 91.5, 95.05, 90.05, 92.5, 2002],
        ["2026-11-20T00:00:00+0530", 185, 186, 184, 185.5, 1],
    ]


def test_a_renamed_instrument_keeps_its_file(kite: Sandbox) -> None:
    """The dump's row keeps every other character."""
    kite.rename("M&M", "MAHINDRA")
    assert len(candles(kite, "MAHINDRA", "day", "2026-11-01", "2026-11-30")) == 2
    text = requests.get(f"{kite.url}/instruments", timeout=10).text
    assert text == INSTRUMENTS.replace(",M&M,", ",MAHINDRA,")


def test_a_folder_without_instruments_is_a_usage_error(tmp_path: Path) -> None:
    """The message says which file is missing."""
    with pytest.raises(UsageError, match=r"instruments\.csv"):
        sandbox(data=tmp_path)


def _windows(days: list[date], most: int) -> Iterator[tuple[date, date]]:
    first = min(days)
    while first <= max(days):
        yield first, first + timedelta(days=most - 1)
        first += timedelta(days=most)


def test_real_files_come_out_as_they_are(real_data: Path) -> None:
    """Every candle of every real file, over HTTP, equals the file's row, in the same order."""
    compared = 0
    with sandbox(data=real_data / "kite") as kite:
        for path in sorted((real_data / "kite").glob("*/*.csv")):
            interval = Interval(path.parent.name)
            rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))[1:]
            days = [datetime.fromisoformat(row[0]).astimezone(IST).date() for row in rows]
            served = [
                one
                for first, last in _windows(days, interval.max_days)
                for one in candles(kite, path.stem[4:], interval, f"{first}", f"{last}", oi=1)
            ]
            assert served == [_expected(row) for row in rows]
            compared += len(served)
    assert compared > 100_000


def _expected(row: list[str]) -> list[object]:
    stamp = datetime.fromisoformat(row[0]).strftime("%Y-%m-%dT%H:%M:%S+0530")
    return [stamp, *(json.loads(text) for text in row[1:])]
