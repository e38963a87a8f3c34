"""The sandbox speaks Kite's protocol: bodies, errors, caps, counts, the control door."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection

import pytest
import requests

from kitepipe.errors import UsageError
from kitepipe.model import IST, Interval
from kitepipe.sandbox import Sandbox, SandboxOptions, Split
from tests.sandbox_asking import ask, candles, refusal, sandbox


@pytest.fixture
def kite() -> Iterator[Sandbox]:
    """A sandbox without a limit."""
    with sandbox() as running:
        yield running


def test_a_body_is_kites_compact_json_with_ints_and_floats_mixed(kite: Sandbox) -> None:
    """Byte for byte the form that the fast parser of kitepipe recognises."""
    reply = ask(kite, "INFY", "day", "2026-01-01 00:00:00", "2026-11-20 23:59:59")
    assert reply.text.startswith('{"status":"success","data":{"candles":[["2026-01-01T00:00:00+')
    assert reply.text.endswith("]]}}")
    assert " " not in reply.text
    numbers = [value for candle in reply.json()["data"]["candles"] for value in candle[1:5]]
    assert {int, float} == {type(value) for value in numbers}
    assert not any(isinstance(value, float) and value.is_integer() for value in numbers)
    assert reply.headers["Content-Type"] == "application/json"


def test_oi_is_a_seventh_element_and_zero_for_equities(kite: Sandbox) -> None:
    """oi=1 adds one element, oi=0 none; only derivatives have any."""
    window = ("2026-11-16", "2026-11-20")
    assert {len(one) for one in candles(kite, "INFY", "day", *window)} == {6}
    assert {one[6] for one in candles(kite, "INFY", "day", *window, oi=1)} == {0}
    assert all(one[6] > 0 for one in candles(kite, "NIFTY26NOVFUT", "day", *window, oi=1))


def test_from_and_to_are_inclusive_on_the_open(kite: Sandbox) -> None:
    """Both ends of a window are in it."""
    stamps = [
        one[0]
        for one in candles(kite, "INFY", "minute", "2026-11-20 09:16:00", "2026-11-20 09:18:00")
    ]
    assert stamps == [f"2026-11-20T09:{minute}:00+0530" for minute in (16, 17, 18)]


@pytest.mark.parametrize("interval", list(Interval))
def test_a_window_wider_than_the_cap_is_refused(kite: Sandbox, interval: Interval) -> None:
    """Exactly the cap passes, one date more is Kite's 400 with the number in it."""
    last = datetime(2026, 11, 20, 23, 59, 59, tzinfo=IST)
    for days, status in ((interval.max_days, 200), (interval.max_days + 1, 400)):
        first = last.date() - timedelta(days=days - 1)
        reply = ask(kite, "INFY", interval, f"{first} 00:00:00", f"{last:%F %T}")
        assert reply.status_code == status
    message = f"interval exceeds max limit: {interval.max_days} days"
    assert refusal(reply) == (400, "InputException", message)


def test_caps_can_be_made_smaller() -> None:
    """A test that splits windows needs a cap of its own."""
    with sandbox(caps={"day": 10}) as kite:
        reply = ask(kite, "INFY", "day", "2026-01-01 00:00:00", "2026-01-31 23:59:59")
    assert refusal(reply)[2] == "interval exceeds max limit: 10 days"


@pytest.mark.parametrize(
    ("interval", "first", "more", "message"),
    [
        ("day", "2026-11-01 00:00:00+05:30", {}, "invalid from date"),
        ("day", "2026-11-01T00:00:00+0530", {}, "invalid from date"),
        ("day", "", {}, "invalid from date"),
        (
            "minute",
            "2026-11-20 00:00:00",
            {"continuous": 1},
            "invalid interval for continuous data",
        ),
        ("day", "2026-11-20 00:00:00", {"continuous": 1}, "invalid interval for continuous data"),
        ("2minute", "2026-11-20 00:00:00", {}, "invalid interval"),
    ],
)
def test_a_wrong_request_is_refused_in_kites_words(
    kite: Sandbox, interval: str, first: str, more: dict[str, object], message: str
) -> None:
    """Offsets, unknown intervals and continuous data of an equity are 400 InputException."""
    reply = ask(kite, "INFY", interval, first, "2026-11-20 23:59:59", **more)
    assert refusal(reply) == (400, "InputException", message)


def test_an_unknown_token_is_refused(kite: Sandbox) -> None:
    """A token that no dump lists is dead."""
    reply = ask(kite, 999, "day", "2026-11-01 00:00:00", "2026-11-20 23:59:59")
    assert refusal(reply) == (400, "InputException", "invalid token")


def test_continuous_data_reaches_far_behind_the_contract(kite: Sandbox) -> None:
    """A future's own history is three months, its continuous one begins with the exchange's."""
    window = ("2022-01-01", "2026-11-20")
    own = candles(kite, "NIFTY26NOVFUT", "day", *window)
    stitched = candles(kite, "NIFTY26NOVFUT", "day", *window, continuous=1)
    assert own[0][0] > "2026-08" > stitched[0][0]
    assert len(stitched) > 1100
    expired = [one for one in stitched if one[0] > "2026-10-28"]
    assert [one[1:5] for one in own if one[0] > "2026-10-28"] == [one[1:5] for one in expired]


def test_the_date_header_follows_the_clock(kite: Sandbox) -> None:
    """What is settled is judged by this header."""
    when = datetime(2025, 3, 4, 5, 6, 7, tzinfo=UTC)
    kite.set_now(when)
    reply = requests.get(f"{kite.url}/instruments", timeout=10)
    assert parsedate_to_datetime(reply.headers["Date"]) == when


def test_the_date_header_may_be_missing_and_history_packed() -> None:
    """Both have been seen behind gateways: kitepipe then goes by its own clock."""
    with sandbox(date_header=False, gzip_history=True) as kite:
        reply = ask(kite, "INFY", "day", "2026-11-16 00:00:00", "2026-11-20 23:59:59")
    assert "Date" not in reply.headers
    assert reply.headers["Content-Encoding"] == "gzip"
    assert len(reply.json()["data"]["candles"]) == 5


def test_one_connection_serves_many_requests(kite: Sandbox) -> None:
    """HTTP/1.1 keep-alive: three answers on one socket."""
    connection = HTTPConnection("127.0.0.1", int(kite.url.rsplit(":", 1)[1]), timeout=10)
    with closing(connection):
        sockets = set()
        for _ in range(3):
            connection.request("GET", "/instruments/MCX")
            assert connection.getresponse().read()
            sockets.add(connection.sock)
    assert len(sockets) == 1


def test_requests_are_counted_by_kind_and_status(kite: Sandbox) -> None:
    """Each request is in the log with its receipt, path and status."""
    candles(kite, "INFY", "day", "2026-11-02", "2026-11-20")
    ask(kite, 999, "day", "2026-11-02 00:00:00", "2026-11-20 23:59:59")
    requests.get(f"{kite.url}/instruments", timeout=10)
    requests.post(f"{kite.url}/session/token", timeout=10)
    counts = kite.requests
    assert (counts.historical, counts.instruments, counts.session, counts.total) == (2, 1, 1, 4)
    assert (counts.by_status, counts.too_many) == ({200: 2, 400: 2}, 0)
    assert [entry.status for entry in kite.log] == [200, 400, 200, 400]
    assert kite.log[0].path.startswith("/instruments/historical/408065/day?from=2026-11-02")
    assert kite.log[0].received < kite.log[1].received


def test_another_process_can_read_and_move_everything(kite: Sandbox) -> None:
    """The control door does what the methods do, and is not counted."""

    def post(verb: str, **body: object) -> int:
        return requests.post(f"{kite.url}/sandbox/{verb}", json=body, timeout=10).status_code

    window = ("day", "2026-11-19", "2026-11-20")
    before = candles(kite, "INFY", *window)
    assert post("split", symbol="INFY", ex_date="2026-11-23", ratio=2) == 200
    assert post("now", now="2026-11-23T08:00:00") == 200
    assert post("correct", symbol="INFY", interval="day", at="2026-11-20", gone=True) == 200
    assert post("rename", symbol="TCS", tradingsymbol="TCSX") == 200
    assert post("rate_limit", per_second=2) == 200
    assert post("faults", script=["429"]) == 200
    assert post("faults", rates={"nonsense": 0.5}) == 400
    assert ask(kite, "TCSX", "day", "2026-11-19 00:00:00", "2026-11-20 23:59:59").status_code == 429
    after = candles(kite, "INFY", *window)
    assert [one[5] for one in after] == [before[0][5] * 2]
    assert post("expire_token") == 200
    assert kite.access_token is None
    counts = requests.get(f"{kite.url}/sandbox/requests", timeout=10).json()
    assert (counts["historical"], counts["too_many"], counts["total"]) == (3, 1, 3)
    assert requests.get(f"{kite.url}/sandbox/nothing", timeout=10).status_code == 404


def test_serve_says_when_it_is_ready_and_where() -> None:
    """`kitepipe sandbox` prints this line; the address answers from then on; Ctrl-C ends it."""
    command = [sys.executable, "-m", "kitepipe", "sandbox", "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as run:
        assert run.stdout is not None
        prefix, _, url = run.stdout.readline().strip().rpartition(" ")
        reply = requests.get(f"{url}/sandbox/requests", timeout=10)
        run.send_signal(signal.SIGINT)
        assert run.wait(10) == 0
    assert prefix == "listening on"
    assert url.startswith("http://127.0.0.1:")
    assert reply.json()["total"] == 0


def test_an_unlisted_symbol_is_a_usage_error() -> None:
    """Whoever mistypes a symbol hears of it at once, on the command line too."""
    with pytest.raises(UsageError, match="INFI"):
        sandbox(splits=(Split("INFI", date(2026, 11, 19), 2),))


def test_a_port_in_use_is_a_usage_error(kite: Sandbox) -> None:
    """The message names the port."""
    port = int(kite.url.rsplit(":", 1)[1])
    with pytest.raises(UsageError, match=str(port)), Sandbox(SandboxOptions(port=port)):
        pass
