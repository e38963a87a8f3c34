"""The answers of the sandbox before they are sent: status, body, and how they travel."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

JSON = "application/json"
ErrorType = str


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP answer; `manner` is a fault of delivery, empty when it is simply sent.

    `content_type` None sends no such header at all.
    """

    status: int
    body: bytes
    content_type: str | None = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    manner: str = ""


class KiteError(Exception):
    """An answer with status "error", raised where a request turns out to be wrong."""

    def __init__(self, status: int, message: str, error_type: ErrorType) -> None:
        super().__init__(message)
        self.status = status
        self.error_type = error_type

    def reply(self) -> Reply:
        """Return it as the body that Kite sends."""
        return error(self.status, str(self), self.error_type)


def compact(value: object) -> bytes:
    """Return Kite's compact JSON."""
    return json.dumps(value, separators=(",", ":")).encode()


def success(data: object) -> Reply:
    """Return a 200 with Kite's envelope."""
    return Reply(200, compact({"status": "success", "data": data}))


def error(status: int, message: str, error_type: ErrorType) -> Reply:
    """Return an error with Kite's envelope."""
    envelope = {"status": "error", "message": message, "data": None, "error_type": error_type}
    return Reply(status, compact(envelope))


def too_many_requests() -> Reply:
    """Return Kite's 429; unlike its other errors it has no `data`."""
    envelope = {
        "status": "error",
        "message": "Too many requests",
        "error_type": "NetworkException",
    }
    return Reply(429, compact(envelope))


def input_error(message: str) -> KiteError:
    """Return a 400 InputException to raise."""
    return KiteError(400, message, "InputException")


def token_error() -> KiteError:
    """Return the 403 of a dead or wrong session, to raise."""
    return KiteError(403, "Incorrect `api_key` or `access_token`.", "TokenException")


def permission_error() -> KiteError:
    """Return the 403 of a key without a data plan, to raise."""
    return KiteError(403, "Insufficient permission for that call.", "PermissionException")
