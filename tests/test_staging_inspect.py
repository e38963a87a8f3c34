"""Claims about what may be staged: complete success replies, and what is seen in them."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitepipe.model import IST, Contents
from kitepipe.staging_inspect import inspect_body
from tests.staging_help import body, candles

CANDLE = ["2024-01-02T09:15:00+0530", 1, 2, 0.5, 1.5, 10]
GOOD = body([CANDLE])
_FIRST, _LAST = datetime.fromisoformat("1995-01-01"), datetime.fromisoformat("2040-01-01")


@st.composite
def dated(draw: st.DrawFn) -> tuple[object, date]:
    """Draw a candle in any form that Kite's clients know, and the IST date that it is of."""
    minutes = draw(st.sampled_from([330, 330, 330, 0, -480, 60, 825]))
    zone = timezone(timedelta(minutes=minutes))
    at = draw(st.datetimes(_FIRST, _LAST, timezones=st.just(zone)))
    text = at.replace(microsecond=0).isoformat(draw(st.sampled_from("T ")))
    text = draw(st.sampled_from([text, text[:-3] + text[-2:]]))
    if minutes == 0:
        text = draw(st.sampled_from([text, at.strftime("%Y-%m-%dT%H:%M:%SZ")]))
    key = draw(st.sampled_from(["", "", "date", "timestamp"]))
    return {key: text, "open": 1} if key else [text, 1, 1, 1, 1, 1], at.astimezone(IST).date()


@given(drawn=st.lists(dated(), max_size=12))
def test_dates_of_any_form_are_seen(drawn: list[tuple[object, date]]) -> None:
    """Arrays and objects, sorted or not, at any offset: each IST date, and how many it has."""
    counts = sorted(Counter(day for _, day in drawn).items())
    expected = Contents(len(drawn), tuple(day for day, _ in counts), tuple(n for _, n in counts))
    assert inspect_body(body([candle for candle, _ in drawn])) == expected


def test_an_empty_reply_is_an_answer() -> None:
    """No candle in the window is a success, with nothing in it."""
    assert inspect_body(body([])) == Contents(0)


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity", "-NaN"])
def test_a_number_that_json_lacks_costs_no_reply(token: str) -> None:
    """One NaN among good candles is a matter for the load: the reply is complete."""
    text = body([CANDLE, [*CANDLE[:4], 987654321, 10]]).replace("987654321", token)
    day = date(2024, 1, 2)
    assert inspect_body(text) == Contents(2, (day,), (2,))


@pytest.mark.parametrize("cut", range(len(GOOD)))
def test_a_truncated_body_is_refused(cut: int) -> None:
    """A body that broke off anywhere is no reply."""
    with pytest.raises(ValueError, match="the body is"):
        inspect_body(GOOD[:cut])


WRONG = {
    "html": "<html><body>Bad gateway</body></html>",
    "text": "OK",
    "null": "null",
    "list": "[]",
    "string": '"success"',
    "error": '{"status":"error","message":"x","error_type":"InputException","data":null}',
    "error with candles": GOOD.replace("success", "error"),
    "no status": '{"data":{"candles":[]}}',
    "status of another type": GOOD.replace('"success"', '["success"]'),
    "no data": '{"status":"success"}',
    "no candles": '{"status":"success","data":{}}',
    "null candles": '{"status":"success","data":{"candles":null}}',
    "candles of another type": '{"status":"success","data":{"candles":{"0":[]}}}',
    "data in a list": '{"status":"success","data":[{"candles":[]}]}',
    "another endpoint": '{"status":"success","data":{"user_id":"AB1234"}}',
    "two bodies": GOOD + GOOD,
    "more behind": GOOD + "<!-- served by cache -->",
    "single quotes": GOOD.replace('"', "'"),
    "byte order mark": "\ufeff" + GOOD,
    "control character": GOOD.replace("T09", "\x00"),
    "half a character": GOOD.replace("T09", "\\ud83d"),
    "quotes lost": GOOD.replace('"status"', "status"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_no_complete_success_is_refused(what: str) -> None:
    """Whatever else comes with status 200, nothing of it is staged."""
    with pytest.raises(ValueError, match="the body is"):
        inspect_body(WRONG[what])


@pytest.mark.parametrize(
    "text", ["2024-W01-1", "20240102", "2024-13-01", "soon", "", 20240102, None, True, ["x"], {}]
)
def test_a_date_that_is_none_is_passed_over(text: object) -> None:
    """A candle without a date counts as a row, and tells nothing of first and newest sessions."""
    day = date(2024, 1, 2)
    assert inspect_body(body([[text, 1, 1, 1, 1, 1], CANDLE])) == Contents(2, (day,), (1,))


@given(
    days=st.lists(st.tuples(st.dates(), st.integers(1, 4)), max_size=8, unique_by=lambda d: d[0])
)
def test_candles_are_counted_by_date(days: list[tuple[date, int]]) -> None:
    """Minutes in Kite's own form, in any order of days: the quick count is the true one."""
    rows = [
        [f"{day}T09:{m:02}:00+0530", 1, 2, 1, 2, 3] for day, n in days for m in range(15, 15 + n)
    ]
    expected = tuple(zip(*sorted(days), strict=True)) or ((), ())
    assert inspect_body(body(rows)) == Contents(len(rows), *expected)


def test_threads_look_into_bodies_side_by_side() -> None:
    """Pool threads share one database: each gets the answer to its own body."""
    days = [date(2024, 1, 1) + timedelta(number) for number in range(60)]
    bodies = [candles(days[: number + 1]) for number in range(60)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(inspect_body, bodies))
    assert [contents.rows for contents in found] == list(range(1, 61))
    assert [contents.newest_sessions[0] for contents in found] == days


def test_real_replies_pass(real_data: Path) -> None:
    """Replies that Kite has published or sent are complete, and their dates are seen."""
    files = [*(real_data / "wire").glob("historical_*.json")]
    assert files
    for file in files:
        text = file.read_text(encoding="utf-8")
        contents = inspect_body(text)
        days = sorted({row[0][:10] for row in json.loads(text)["data"]["candles"]})
        assert contents.rows == len(json.loads(text)["data"]["candles"])
        assert str(contents.first_candle) == days[0]
        assert str(contents.newest_sessions[0]) == days[-1]


def test_real_errors_do_not_pass(real_data: Path) -> None:
    """No error body that Kite sends is taken for a reply."""
    files = list((real_data / "wire" / "errors").glob("[345]*"))
    assert files
    for file in files:
        with pytest.raises(ValueError, match="the body is"):
            inspect_body(file.read_text(encoding="utf-8"))
