"""What goes wrong between Kite and us ends as another try or a clear error, never as a success."""

import gzip
import json
from typing import Any

import pytest

from kitepipe.errors import (
    AuthenticationError,
    InstrumentRefused,
    KiteUnreachable,
    PlanMissing,
    RequestFailed,
    TransientError,
)
from kitepipe.model import Instrument, Interval, Series
from kitepipe.sandbox import KINDS, Faults
from kitepipe.sandbox.replies import Reply
from tests.kite_help import SECRETS, WINDOW, door, odd_sandbox, series_of
from tests.sandbox_asking import sandbox

# Kinds after which the same request is worth another try; the others end it in another way.
PASSING = sorted(set(KINDS) - {"ok", "expired_token", "permission", "untyped", "drip"})
SUCCESS = b'{"status":"success","data":{"candles":[]}}'
GZIP = {"Content-Encoding": "gzip"}


@pytest.mark.parametrize("kind", PASSING)
def test_a_passing_fault_is_tried_again(kind: str) -> None:
    """The second attempt's reply is the one that is returned, whole."""
    with (
        sandbox(faults=Faults(script=[kind])) as kite,
        door(kite, timeout_s=0.5 if kind in ("stall", "hang") else 5.0) as client,
    ):
        reply = client.fetch_reply(series_of(kite), WINDOW)
        whole = client.fetch_reply(series_of(kite), WINDOW)
        assert sum(kite.requests.faults.values()) == 1
    assert (reply.attempts, reply.body) == (2, whole.body)


@pytest.mark.parametrize("kind", PASSING)
def test_a_fault_that_stays_is_a_clear_error(kind: str) -> None:
    """It says what was asked, and what came instead."""
    with (
        sandbox(faults=Faults(rates={kind: 1})) as kite,
        door(kite, timeout_s=0.4, max_attempts=2) as client,
        pytest.raises(TransientError) as failed,
    ):
        client.fetch_reply(series_of(kite), WINDOW)
    text = str(failed.value)
    assert text.startswith("NSE:INFY day 2026-10-01..2026-11-20: ")
    assert len(text) > 60
    assert failed.value.attempts == 2


def test_an_error_without_a_type_is_told_at_once() -> None:
    """A 400 says that the request is wrong: the same one is not sent again."""
    with (
        sandbox(faults=Faults(rates={"untyped": 1})) as kite,
        door(kite) as client,
        pytest.raises(RequestFailed, match="HTTP 400 application/json: no type") as failed,
    ):
        client.fetch_reply(series_of(kite), WINDOW)
    assert not isinstance(failed.value, TransientError)
    assert client.requests == 1


ODD = {
    "moved": Reply(302, b"", "text/html", {"Location": "http://elsewhere.example/"}),
    "moved for good": Reply(308, b"{}", headers={"Location": "/instruments"}),
    "html 400": Reply(400, b"<html></html>", "text/html"),
    "html 403": Reply(403, b"<html>firewall</html>", "text/html"),
    "html 404": Reply(404, b"<html></html>", "text/html"),
    "html 500": Reply(500, b"<html></html>", "text/html"),
    "no content": Reply(204, b"", None),
    "part": Reply(206, SUCCESS),
    "an error with 200": Reply(200, b'{"status":"error","message":"no","error_type":"X"}'),
    "a list": Reply(503, b"[]"),
    "a deep list": Reply(502, b"[" * 60_000),
    "a message that is none": Reply(500, b'{"message":{"a":1},"error_type":[]}'),
    "not UTF-8": Reply(200, SUCCESS.replace(b"[]", b'["\xff"]')),
    "cut": Reply(200, SUCCESS[:-1]),
    "trailing": Reply(200, SUCCESS + b"}"),
    "twice": Reply(200, SUCCESS + SUCCESS),
    "candles are an object": Reply(200, SUCCESS.replace(b"[]", b"{}")),
    "candles are null": Reply(200, SUCCESS.replace(b"[]", b"null")),
    "status is missing": Reply(200, SUCCESS.replace(b'"status":"success",', b"")),
    "gzip that is none": Reply(200, SUCCESS, headers=GZIP),
    "gzip that is cut": Reply(200, gzip.compress(SUCCESS)[:-9], headers=GZIP),
    "an unknown encoding": Reply(200, SUCCESS, headers={"Content-Encoding": "br"}),
}


@pytest.mark.parametrize("name", ODD)
def test_no_odd_answer_passes_for_a_success(name: str) -> None:
    """It is tried again or refused, without a traceback, and never returned."""
    with odd_sandbox(*[ODD[name]] * 2) as kite, door(kite, max_attempts=2) as client:
        with pytest.raises(RequestFailed, match="NSE:INFY day"):
            client.fetch_reply(series_of(kite), WINDOW)
        assert client.requests == kite.requests.historical <= 2


def test_a_redirect_is_not_followed() -> None:
    """It would carry the token to another host."""
    with sandbox() as other:
        away = Reply(302, b"", None, {"Location": f"{other.url}/instruments"})
        with (
            odd_sandbox(away, away) as kite,
            door(kite, max_attempts=2) as client,
            pytest.raises(RequestFailed, match=r"HTTP 302 .*is api_root right\?"),
        ):
            client.fetch_reply(series_of(kite), WINDOW)
        assert other.requests.total == 0


def test_a_dead_session_ends_it_at_once() -> None:
    """TokenException is never retried, and says to log in again."""
    with (
        sandbox(faults=Faults(script=["expired_token"])) as kite,
        door(kite) as client,
        pytest.raises(AuthenticationError, match="run 'kitepipe login'") as ended,
    ):
        client.fetch_reply(series_of(kite), WINDOW)
    assert client.requests == 1
    assert not isinstance(ended.value, PlanMissing)


def test_a_key_without_a_plan_ends_it_at_once() -> None:
    """PermissionException is never retried, and a new login would not help."""
    with (
        sandbox(permission=False) as kite,
        door(kite) as client,
        pytest.raises(PlanMissing, match="no plan for historical data") as ended,
    ):
        client.fetch_reply(series_of(kite), WINDOW)
    assert client.requests == 1
    assert "login" not in str(ended.value)


@pytest.mark.parametrize("status", [400, 401, 403, 500])
def test_the_class_tells_a_dead_session_whatever_the_status(status: int) -> None:
    """Transient or permanent goes by class and status, and the class is the clearer word."""
    body = json.dumps({"status": "error", "message": "x", "error_type": "TokenException"})
    with odd_sandbox(Reply(status, body.encode())) as kite, door(kite) as client:
        with pytest.raises(AuthenticationError):
            client.fetch_reply(series_of(kite), WINDOW)
        assert client.requests == 1


def test_an_invalid_token_refuses_that_instrument() -> None:
    """Once, and by its name."""
    with sandbox() as kite, door(kite) as client:
        gone = Series(1, Instrument(77, "NSE", "GONE"), Interval.DAY, 1)
        with pytest.raises(InstrumentRefused, match=r"NSE:GONE day .*invalid token"):
            client.fetch_reply(gone, WINDOW)
        assert client.requests == 1
        assert client.fetch_reply(series_of(kite), WINDOW).contents.rows


def test_a_dead_address_is_told_with_advice() -> None:
    """Nobody listens there."""
    with sandbox() as kite:
        series = series_of(kite)
    with (
        door(kite, max_attempts=2) as client,
        pytest.raises(RequestFailed, match=r"connection failed \(.*is api_root right\?"),
    ):
        client.fetch_reply(series, WINDOW)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply(403, b'{"error_type":"TokenException"}'), AuthenticationError),
        (Reply(502, b"<html>", "text/html"), KiteUnreachable),
        (Reply(404, b"{}"), KiteUnreachable),
    ],
)
def test_the_session_is_proven_before_a_run(reply: Reply, expected: type[Exception]) -> None:
    """A dead session and a Kite that is away are told apart."""
    with (
        odd_sandbox(reply, reply) as kite,
        door(kite, max_attempts=2) as client,
        pytest.raises(expected),
    ):
        client.check_session()


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, b"<html>", "text/csv"),
        Reply(200, b"", "text/csv"),
        Reply(200, b"instrument_token,exchange_token\r\n", "text/html"),
    ],
)
def test_a_dump_that_is_none_is_tried_again(reply: Reply) -> None:
    """The official client would return an empty list."""
    with odd_sandbox(reply) as kite, door(kite) as client:
        dump, _ = client.fetch_instruments("NSE")
        assert client.requests == 2
    assert dump.startswith(b"instrument_token,")


@pytest.mark.parametrize(
    "options",
    [{"faults": Faults(script=[kind])} for kind in ("expired_token", "permission", "502", "reset")]
    + [{"caps": {"day": 3}}, {"permission": False}],
)
def test_no_secret_is_ever_told(options: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    """Neither in a log line of any library at any level, nor in an error, its causes or a repr."""
    caplog.set_level(0)
    with sandbox(**options) as kite, door(kite, max_attempts=2) as client:
        told = [repr(client), repr(client._options), repr(client.__dict__)]
        error: BaseException | None = None
        try:
            client.fetch_reply(series_of(kite), WINDOW)
        except Exception as raised:
            error = raised
        while error is not None:
            told += [str(error), repr(error), repr(error.__dict__)]
            error = error.__cause__ or error.__context__
    told += [record.getMessage() for record in caplog.records]
    assert caplog.records
    assert [text for text in told for secret in SECRETS if secret in text] == []
