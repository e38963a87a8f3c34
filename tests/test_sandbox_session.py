"""The sandbox knows one living session: log-in, expiry, refusals."""

import hashlib
from collections.abc import Iterator
from datetime import datetime

import pytest
import requests

from kitepipe.model import IST
from kitepipe.sandbox import Sandbox
from tests.sandbox_asking import AUTHORIZATION, ask, refusal, sandbox


@pytest.fixture
def kite() -> Iterator[Sandbox]:
    """A sandbox without a limit."""
    with sandbox() as running:
        yield running


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
