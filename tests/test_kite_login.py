"""Login through the official client, against the sandbox."""

import pytest

from kitepipe.errors import AuthenticationError, KiteUnreachable
from kitepipe.kite import login_url, open_session
from kitepipe.sandbox.replies import Reply
from tests.kite_help import SECRETS, door, odd_sandbox
from tests.sandbox_asking import sandbox


def test_the_login_page_is_kites_own() -> None:
    """Version 3, with the app's key."""
    url = login_url("https://api.kite.trade", "my_key")
    assert url == "https://kite.zerodha.com/connect/login?api_key=my_key&v=3"


def test_a_login_opens_a_session_that_works() -> None:
    """The request token is exchanged for an access token, and the one before is dead."""
    with sandbox() as kite:
        session = open_session(kite.url, "sandbox_key", "fresh_request_token", "sandbox_secret")
        assert session["access_token"] == kite.access_token
        with door(kite, access_token=session["access_token"]) as client:
            client.check_session()
        with door(kite) as client, pytest.raises(AuthenticationError):
            client.check_session()


def test_a_wrong_secret_is_refused_with_advice() -> None:
    """The error tells neither the secret nor the token."""
    with sandbox() as kite, pytest.raises(AuthenticationError, match="login page again") as refused:
        open_session(kite.url, "sandbox_key", "request_token_1", "not the secret")
    text = f"{refused.value} {refused.value.__cause__!r}"
    assert [secret for secret in (*SECRETS, "not the secret") if secret in text] == []


@pytest.mark.parametrize(
    "reply",
    [
        Reply(502, b"<html>", "text/html"),
        Reply(200, b"<html>", "text/html"),
        Reply(200, b"{}", None),
        Reply(400, b'{"status":"error"}'),
        Reply(0, b"", manner="reset"),
    ],
)
def test_a_kite_that_is_away_is_no_refused_login(reply: Reply) -> None:
    """None of the client's own exceptions comes through."""
    with odd_sandbox(reply) as kite, pytest.raises(KiteUnreachable, match="login at http"):
        open_session(kite.url, "sandbox_key", "request_token_1", "sandbox_secret")
