"""What the sandbox breaks on purpose, seen by a client on the other side of the wire."""

import gzip
import time
from typing import Any

import pytest
import requests

from kitepipe.errors import UsageError
from kitepipe.sandbox import KINDS, Faults, Sandbox, parse_faults
from tests.sandbox_asking import AUTHORIZATION, ask, candles, refusal, sandbox

WINDOW = ("INFY", "day", "2026-10-01 00:00:00", "2026-11-20 23:59:59")


def _asked(kind: str, **options: Any) -> requests.Response:
    with sandbox(faults=Faults(script=[kind]), **options) as kite:
        reply = ask(kite, *WINDOW)
        assert kite.requests.faults == {kind: 1}
        assert ask(kite, *WINDOW).status_code == 200, "only the first was to fail"
        return reply


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("429", (429, "NetworkException", "Too many requests")),
        ("500", (500, "GeneralException", "Something unexpected went wrong.")),
        ("502", (502, "DataException", "Gateway error")),
        ("503", (503, "NetworkException", "Service unavailable")),
        ("504", (504, "NetworkException", "Gateway timed out")),
        ("permission", (403, "PermissionException", "Insufficient permission for that call.")),
    ],
)
def test_an_error_has_kites_body(kind: str, expected: tuple[int, str, str]) -> None:
    """Status, type and message."""
    assert refusal(_asked(kind)) == expected


@pytest.mark.parametrize(("kind", "status"), [("html", 502), ("html429", 429), ("html200", 200)])
def test_a_gateway_answers_in_html(kind: str, status: int) -> None:
    """The status may even be 200."""
    reply = _asked(kind)
    assert (reply.status_code, reply.headers["Content-Type"]) == (status, "text/html")
    assert "<html>" in reply.text


@pytest.mark.parametrize("kind", ["truncated", "empty", "html200"])
def test_a_damaged_body_is_no_json(kind: str) -> None:
    """Status 200 and the right length, and still nothing to read."""
    reply = _asked(kind)
    assert reply.status_code == 200
    assert int(reply.headers["Content-Length"]) == len(reply.content)
    with pytest.raises(requests.JSONDecodeError):
        reply.json()


def test_json_may_have_another_shape() -> None:
    """A list, success without candles, an error without a type."""
    assert _asked("wrong_json").json() == ["success"]
    assert _asked("no_candles").json() == {"status": "success", "data": {}}
    assert _asked("untyped").json() == {"status": "error", "message": "no type"}


def test_the_content_type_may_be_wrong_or_missing() -> None:
    """The body is the right one."""
    wrong, missing = _asked("wrong_type"), _asked("no_type")
    assert wrong.headers["Content-Type"] == "text/plain"
    assert "Content-Type" not in missing.headers
    assert wrong.json() == missing.json()
    assert wrong.json()["status"] == "success"


def test_a_connection_is_reset() -> None:
    """The client sees its connection end without an answer."""
    with pytest.raises(requests.ConnectionError, match=r"(?i)reset|aborted"):
        _asked("reset")


def test_a_body_ends_before_its_length() -> None:
    """The client is promised more than comes."""
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        _asked("short")


def _got_within(kite: Sandbox, timeout_s: float) -> requests.Response:
    url = f"{kite.url}/instruments/historical/{kite.token_of('INFY')}/day"
    params = {"from": WINDOW[2], "to": WINDOW[3]}
    return requests.get(url, params=params, headers=AUTHORIZATION, timeout=timeout_s)


def test_a_stall_sends_nothing() -> None:
    """Only the client's time-out ends it; closing the sandbox does not wait for it."""
    started = time.monotonic()
    with sandbox(faults=Faults(script=["stall"])) as kite, pytest.raises(requests.ReadTimeout):
        _got_within(kite, 0.2)
    assert time.monotonic() - started < 5


def test_half_a_body_and_then_nothing() -> None:
    """The client waits in the middle of it."""
    with (
        sandbox(faults=Faults(script=["hang"])) as kite,
        pytest.raises(requests.ConnectionError, match="timed out"),
    ):
        _got_within(kite, 0.2)


def test_a_gzip_body_is_cut() -> None:
    """Its length is that of what comes, and its checksum is missing."""
    with sandbox(faults=Faults(script=["gzip"])) as kite:
        url = f"{kite.url}/instruments/historical/{kite.token_of('INFY')}/day"
        params = {"from": WINDOW[2], "to": WINDOW[3]}
        reply = requests.get(url, params=params, headers=AUTHORIZATION, timeout=5, stream=True)
        packed = reply.raw.read(decode_content=False)
    assert (reply.headers["Content-Encoding"], packed[:2]) == ("gzip", b"\x1f\x8b")
    with pytest.raises(EOFError):
        gzip.decompress(packed)


def test_a_redirect_leads_to_a_page() -> None:
    """As a proxy in between sends it."""
    with sandbox(faults=Faults(script=["redirect"])) as kite:
        url = f"{kite.url}/instruments/historical/{kite.token_of('INFY')}/day"
        reply = requests.get(url, headers=AUTHORIZATION, timeout=5, allow_redirects=False)
    assert (reply.status_code, reply.headers["Location"]) == (302, "/")


def test_a_dripping_body_never_times_out_by_read() -> None:
    """Each byte comes within the time-out per read, so the whole takes as long as it likes."""
    short = ("INFY", "day", "2026-11-21 00:00:00", "2026-11-21 23:59:59")
    with sandbox(faults=Faults(script=["drip"]), drip_s=0.01) as kite:
        started = time.monotonic()
        reply = ask(kite, *short)
        took = time.monotonic() - started
    assert reply.json()["data"]["candles"] == []
    assert took > 0.01 * (len(reply.content) - 1)


def test_an_expired_token_stays_dead_until_the_next_login() -> None:
    """Every request from then on is a 403."""
    with sandbox(faults=Faults(script=["ok", "expired_token"])) as kite:
        statuses = [ask(kite, *WINDOW).status_code for _ in range(3)]
    assert statuses == [200, 403, 403]


def test_a_script_says_what_happens_to_each_request() -> None:
    """In order, then rates, here none."""
    script = ["ok", "503", None, "429"]
    with sandbox(faults=Faults(script=script)) as kite:
        assert [ask(kite, *WINDOW).status_code for _ in range(6)] == [200, 503, 200, 429, 200, 200]


def test_rates_are_seeded() -> None:
    """The same seed fails the same requests, another seed others."""

    def failed(seed: int) -> list[int]:
        with sandbox(faults=Faults(rates={"503": 0.3, "5xx": 0.2}), seed=seed) as kite:
            return [ask(kite, *WINDOW).status_code for _ in range(60)]

    first = failed(1)
    assert first == failed(1) != failed(2)
    assert 10 < sum(status >= 500 for status in first) < 50
    assert first.count(503) > first.count(500)


def test_faults_change_while_it_runs() -> None:
    """A new plan counts from the next request; one instrument alone may fail, for a while."""
    with sandbox() as kite:
        kite.faults(Faults(script=["502"]))
        assert ask(kite, *WINDOW).status_code == 502
        kite.fail("INFY", "503", times=2)
        assert candles(kite, "TCS", "day", "2026-11-19", "2026-11-20")
        assert [ask(kite, *WINDOW).status_code for _ in range(3)] == [503, 503, 200]
        kite.fail("INFY", "500")
        assert {ask(kite, *WINDOW).status_code for _ in range(5)} == {500}


def test_faults_touch_history_only() -> None:
    """The dump still comes."""
    with sandbox(faults=Faults(rates={"503": 1})) as kite:
        assert requests.get(f"{kite.url}/instruments", timeout=10).status_code == 200


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("429=0.02, reset=0.01", Faults(rates={"429": 0.02, "reset": 0.01})),
        ("ok,429,ok,reset", Faults(script=("ok", "429", "ok", "reset"))),
        ("", Faults()),
    ],
)
def test_faults_are_read_from_one_line(text: str, faults: Faults) -> None:
    """As `kitepipe sandbox --faults` takes them: shares, or a script."""
    assert parse_faults(text) == faults


@pytest.mark.parametrize("text", ["nonsense", "429=much", "429=2", "429=-1", "429=0.6,500=0.6"])
def test_impossible_faults_are_a_usage_error(text: str) -> None:
    """The message names what is wrong."""
    with pytest.raises(UsageError, match="faults"):
        parse_faults(text)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_fault_does_something(kind: str) -> None:
    """A kind that leaves the answer as it was is no fault."""
    with sandbox(faults=Faults(script=[kind]), stall_s=0.05, drip_s=0) as kite:
        try:
            reply = ask(kite, *WINDOW)
        except requests.RequestException:
            return
        whole = ask(kite, *WINDOW)
    same = (reply.status_code, reply.content) == (whole.status_code, whole.content)
    typed = reply.headers.get("Content-Type") == "application/json"
    unseen = ("ok", "drip", "expired_token", "gzip")  # requests takes a cut gzip for whole
    assert (same and typed) == (kind in unseen)
