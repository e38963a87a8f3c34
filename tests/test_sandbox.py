"""The sandbox speaks Kite's protocol: bodies, errors, caps, sessions, dump, control door."""

import gzip
import hashlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection

import pytest
import requests

from kitepipe.errors import UsageError
from kitepipe.model import IST, Instrument, Interval
from kitepipe.sandbox import Sandbox, SandboxOptions
from tests.sandbox_asking import AUTHORIZATION, NOW, ask, candles, refusal, sandbox


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


@pytest.mark.parametrize(
    "authorization", ["", "token sandbox_key:wrong", "token other:sandbox_token", "sandbox_token"]
)
def test_a_wrong_session_is_refused(kite: Sandbox, authorization: str) -> None:
    """403 TokenException, before anything else is looked at."""
    url = f"{kite.url}/instruments/historical/408065/nonsense"
    reply = requests.get(url, headers={"Authorization": authorization}, timeout=10)
    expected = (403, "TokenException", "Incorrect `api_key` or `access_token`.")
    assert refusal(reply) == expected


def test_a_key_without_a_data_plan_is_refused() -> None:
    """403 PermissionException, for history only."""
    with sandbox(permission=False) as kite:
        reply = ask(kite, "INFY", "day", "2026-11-01 00:00:00", "2026-11-20 23:59:59")
        dump = requests.get(f"{kite.url}/instruments", headers=AUTHORIZATION, timeout=10)
    expected = (403, "PermissionException", "Insufficient permission for that call.")
    assert refusal(reply) == expected
    assert dump.status_code == 200


def _login(kite: Sandbox, request_token: str, secret: str = "sandbox_secret") -> requests.Response:
    text = f"sandbox_key{request_token}{secret}"
    form = {
        "api_key": "sandbox_key",
        "request_token": request_token,
        "checksum": hashlib.sha256(text.encode()).hexdigest(),
    }
    return requests.post(f"{kite.url}/session/token", data=form, timeout=10)


def _profile(kite: Sandbox, token: str) -> int:
    headers = {"Authorization": f"token sandbox_key:{token}"}
    return requests.get(f"{kite.url}/user/profile", headers=headers, timeout=10).status_code


def test_a_new_login_kills_the_old_token(kite: Sandbox) -> None:
    """One access token lives at a time, and a request token opens one session only."""
    first = _login(kite, "one").json()["data"]["access_token"]
    second = _login(kite, "two").json()["data"]["access_token"]
    assert [_profile(kite, token) for token in ("sandbox_token", first, second)] == [403, 403, 200]
    assert refusal(_login(kite, "two"))[:2] == (403, "TokenException")


def test_a_wrong_checksum_opens_nothing(kite: Sandbox) -> None:
    """403 TokenException; the living token stays alive."""
    assert refusal(_login(kite, "one", "other secret"))[:2] == (403, "TokenException")
    assert _profile(kite, "sandbox_token") == 200


def test_a_token_dies_at_six_in_the_morning(kite: Sandbox) -> None:
    """By the sandbox's clock, 06:00 IST of the next day."""
    token = _login(kite, "one").json()["data"]["access_token"]
    kite.set_now(datetime(2026, 11, 21, 5, 59, tzinfo=IST))
    assert _profile(kite, token) == 200
    kite.set_now(datetime(2026, 11, 21, 6, 0, tzinfo=IST))
    assert _profile(kite, token) == 403


def test_logging_out_kills_the_token(kite: Sandbox) -> None:
    """DELETE /session/token ends the session that it names."""
    params = {"api_key": "sandbox_key", "access_token": "sandbox_token"}
    reply = requests.delete(f"{kite.url}/session/token", params=params, timeout=10)
    assert reply.json() == {"status": "success", "data": True}
    assert _profile(kite, "sandbox_token") == 403


def test_the_dump_is_gzipped_csv_of_every_kind(kite: Sandbox) -> None:
    """Sixty rows: equities with odd symbols, indices, NFO and MCX contracts."""
    reply = requests.get(f"{kite.url}/instruments", timeout=10, stream=True)
    raw = reply.raw.read(decode_content=False)
    lines = gzip.decompress(raw).decode().split("\r\n")
    assert lines[0].startswith("instrument_token,exchange_token,tradingsymbol,name,last_price")
    assert (len(lines), lines[-1]) == (62, "")
    symbols = {line.split(",")[2] for line in lines[1:-1]}
    assert {"INFY", "M&M", "BAJAJ-AUTO", "NIFTY PSU BANK", "735TN30-SG"} <= symbols
    assert {line.split(",")[9] for line in lines[1:-1]} == {"EQ", "FUT", "CE", "PE"}
    assert {line.split(",")[11] for line in lines[1:-1]} == {"NSE", "NFO", "MCX"}


def test_the_dump_of_one_exchange_holds_no_other(kite: Sandbox) -> None:
    """/instruments/MCX lists MCX."""
    lines = requests.get(f"{kite.url}/instruments/MCX", timeout=10).text.splitlines()[1:]
    assert lines
    assert {line.rsplit(",", 1)[1] for line in lines} == {"MCX"}


def test_the_dump_changes_at_half_past_eight(kite: Sandbox) -> None:
    """A contract stays listed until the morning after its expiry; then its token is dead."""
    token = kite.token_of("NIFTY26NOVFUT")
    window = ("day", "2026-11-23 00:00:00", "2026-11-23 23:59:59")
    statuses = []
    for minute in (29, 30):
        kite.set_now(datetime(2026, 11, 24, 8, minute, tzinfo=IST))
        statuses.append(ask(kite, token, *window).status_code)
    assert statuses == [200, 400]


def test_a_contract_keeps_its_token_while_it_ages(kite: Sandbox) -> None:
    """The far month becomes the near month under the same token."""
    token = kite.token_of("NIFTY26DECFUT")
    kite.set_now(datetime(2026, 12, 10, 12, 0, tzinfo=IST))
    assert kite.token_of("NIFTY26DECFUT") == token


def test_a_token_is_reused_by_a_later_contract(kite: Sandbox) -> None:
    """Half a year later the dead token names another contract, as on Kite."""
    token = kite.token_of("NIFTY26NOVFUT")
    kite.set_now(datetime(2027, 4, 1, 12, 0, tzinfo=IST))
    assert kite.token_of("NIFTY27MAYFUT") == token


def test_listings_change_as_told(kite: Sandbox) -> None:
    """A listing, a delisting, a new symbol and a new token, the last two with the same history."""
    window = ("day", "2026-11-02", "2026-11-20")
    before = candles(kite, "INFY", *window)
    kite.rename("INFY", "INFOSYS")
    kite.move_token("NSE:INFOSYS", 777_217)
    kite.delist("TCS")
    kite.list_instrument(Instrument(5_121, "NSE", "NEWCO", segment="NSE"), price=50)
    assert candles(kite, 777_217, *window) == before
    dead = ask(kite, 408_065, "day", "2026-11-02 00:00:00", "2026-11-20 23:59:59")
    assert refusal(dead)[2] == "invalid token"
    symbols = requests.get(f"{kite.url}/instruments/NSE", timeout=10).text
    assert [f",{name}," in symbols for name in ("INFOSYS", "INFY", "TCS", "NEWCO")] == [
        True,
        False,
        False,
        True,
    ]
    assert len(candles(kite, "NEWCO", *window)) == len(before)


def test_a_change_waits_for_its_instant(kite: Sandbox) -> None:
    """`at` lets a token move while a run is under way."""
    kite.move_token("INFY", 777_217, at=NOW + timedelta(minutes=1))
    assert kite.token_of("INFY") == 408_065
    kite.set_now(NOW + timedelta(minutes=1))
    assert kite.token_of("INFY") == 777_217


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
    _login(kite, "one")
    counts = kite.requests
    assert (counts.historical, counts.instruments, counts.session, counts.total) == (2, 1, 1, 4)
    assert (counts.by_status, counts.too_many) == ({200: 3, 400: 1}, 0)
    assert [entry.status for entry in kite.log] == [200, 400, 200, 200]
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
    code = (
        "from kitepipe.sandbox import SandboxOptions, serve\n"
        "serve(SandboxOptions(), lambda line: print(line, flush=True))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        prefix, _, url = run.stdout.readline().strip().rpartition(" ")
        reply = requests.get(f"{url}/sandbox/requests", timeout=10)
        run.send_signal(signal.SIGINT)
        assert run.wait(10) == 0
    assert prefix == "listening on"
    assert url.startswith("http://127.0.0.1:")
    assert reply.json()["total"] == 0


def test_a_port_in_use_is_a_usage_error(kite: Sandbox) -> None:
    """The message names the port."""
    port = int(kite.url.rsplit(":", 1)[1])
    with pytest.raises(UsageError, match=str(port)), Sandbox(SandboxOptions(port=port)):
        pass
