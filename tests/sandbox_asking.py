"""How tests ask a sandbox: plain HTTP, as Kite's documentation has it."""

from datetime import datetime
from typing import Any

import requests

from kitepipe.model import IST
from kitepipe.sandbox import Sandbox, SandboxOptions

Candle = Any  # a list, or whatever a correction puts in its place


def ist(
    year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0
) -> datetime:
    """Return an instant by IST's wall clock."""
    return datetime(year, month, day, hour, minute, second, tzinfo=IST)


AUTHORIZATION = {
    "X-Kite-Version": "3",
    "Authorization": "token sandbox_key:sandbox_token",
}
NOW = ist(2026, 11, 20, 20)  # a Friday evening; MCX still trades


def sandbox(**options: Any) -> Sandbox:
    """Return a sandbox without a limit, its clock standing at NOW."""
    return Sandbox(SandboxOptions(**{"now": NOW, "rate_limit": 0, **options}))


def ask(
    to: Sandbox, symbol: str | int, interval: str, first: str, last: str, **more: object
) -> requests.Response:
    """Ask for history; `first` and `last` are sent as they are, a token need not be listed."""
    token = symbol if isinstance(symbol, int) else to.token_of(symbol)
    return requests.get(
        f"{to.url}/instruments/historical/{token}/{interval}",
        params={"from": first, "to": last, **{key: str(value) for key, value in more.items()}},
        headers=AUTHORIZATION,
        timeout=10,
    )


def candles(
    of: Sandbox, symbol: str | int, interval: str, first: str, last: str, **more: object
) -> list[Candle]:
    """Return the candles of whole dates, or of instants where a time of day stands."""
    first = first if ":" in first else f"{first} 00:00:00"
    last = last if ":" in last else f"{last} 23:59:59"
    reply = ask(of, symbol, interval, first, last, **more)
    assert reply.status_code == 200, reply.text
    found: list[Candle] = reply.json()["data"]["candles"]
    return found


def refusal(reply: requests.Response) -> tuple[int, str, str]:
    """Return status, error type and message of an error."""
    body = reply.json()
    assert body["status"] == "error"
    return reply.status_code, body["error_type"], body["message"]
