"""Sessions: one access token at a time for one API key; a new login kills the old one."""

import hashlib
import hmac
import secrets
import threading
from collections.abc import Mapping
from datetime import datetime, timedelta

from kitepipe.model import IST
from kitepipe.sandbox.replies import KiteError, Reply, input_error, success, token_error

_EXCHANGES = ["NSE", "NFO", "BFO", "CDS", "BSE", "MCX", "BCD", "MF"]
_USER = {
    "user_id": "SB0001",
    "user_type": "individual",
    "email": "sandbox@localhost",
    "user_name": "Sandbox User",
    "user_shortname": "Sandbox",
    "broker": "ZERODHA",
    "exchanges": _EXCHANGES,
    "products": ["CNC", "NRML", "MIS", "BO", "CO"],
    "order_types": ["MARKET", "LIMIT", "SL", "SL-M"],
    "avatar_url": None,
    "meta": {"demat_consent": "physical"},
}


class Accounts:
    """Knows the key, its secret, and which access token is alive."""

    def __init__(self, api_key: str, api_secret: str, token: str) -> None:
        self._api_key = api_key
        self._api_secret = api_secret
        self._token: str | None = token
        self._dead_at: datetime | None = None  # the token of the options does not age
        self._used: set[str] = set()
        self._lock = threading.Lock()

    @property
    def token(self) -> str | None:
        """Return the access token that is alive."""
        return self._token

    def expire(self) -> None:
        """Kill the access token."""
        with self._lock:
            self._token = None

    def check(self, authorization: str, now: datetime) -> None:
        """Raise the 403 that fits when the header is not that of the living session."""
        with self._lock:
            if self._dead_at is not None and now >= self._dead_at:
                self._token = None
            expected = f"token {self._api_key}:{self._token}"
            known = hmac.compare_digest(authorization.encode(), expected.encode())
            if self._token is None or not known:
                raise token_error()

    def login(self, form: Mapping[str, str], now: datetime) -> Reply:
        """Exchange a request token, any text but once, for an access token until 6 AM IST."""
        request_token = form.get("request_token", "")
        if not request_token or "checksum" not in form:
            raise input_error("Missing or empty field `request_token` or `checksum`")
        if form.get("api_key") != self._api_key:
            raise KiteError(403, "Invalid `api_key`.", "TokenException")
        text = self._api_key + request_token + self._api_secret
        if form["checksum"] != hashlib.sha256(text.encode()).hexdigest():
            raise KiteError(403, "Invalid `checksum`.", "TokenException")
        with self._lock:
            if request_token in self._used:
                raise KiteError(403, "Token is invalid or has expired.", "TokenException")
            self._used.add(request_token)
            self._token = secrets.token_urlsafe(24)
            self._dead_at = _next_morning(now)
            return success(self._session(now))

    def logout(self, params: Mapping[str, str]) -> Reply:
        """Kill the session that is named."""
        with self._lock:
            if params.get("api_key") != self._api_key or self._token is None:
                raise token_error()
            if params.get("access_token") != self._token:
                raise token_error()
            self._token = None
        return success(True)

    def profile(self) -> Reply:
        """Return the user."""
        return success(_USER)

    def _session(self, now: datetime) -> dict[str, object]:
        return {
            **_USER,
            "api_key": self._api_key,
            "access_token": self._token,
            "public_token": secrets.token_urlsafe(24),
            "refresh_token": "",
            "silo": "",
            "login_time": now.astimezone(IST).strftime("%Y-%m-%d %H:%M:%S"),
        }


def _next_morning(now: datetime) -> datetime:
    local = now.astimezone(IST)
    six = local.replace(hour=6, minute=0, second=0, microsecond=0)
    return six if local < six else six + timedelta(days=1)
