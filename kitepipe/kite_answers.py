"""What an HTTP answer of Kite means: read it within a deadline, judge it by status and class.

Sources: https://kite.trade/docs/connect/v3/exceptions/ and the client's `exceptions.py`.
"""

import json
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import requests
import urllib3

from kitepipe.errors import (
    AuthenticationError,
    InstrumentRefused,
    PlanMissing,
    RequestFailed,
    TransientError,
    WindowTooWide,
)

# A minute reply of 60 days is 1 MB, the whole instruments dump about 10 MB.
_MAX_BYTES = 256 * 1024 * 1024
_PIECE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, its body after content decoding; `date` is the server's clock, in UTC."""

    status: int
    media_type: str
    body: bytes
    date: datetime | None
    retry_after_s: float | None

    def text(self) -> str:
        """Return the body as text; TransientError where it is not UTF-8."""
        try:
            return self.body.decode("utf-8")
        except UnicodeDecodeError as error:
            raise TransientError(f"the body is not UTF-8: {error}", self.status) from error


def read_answer(response: requests.Response, timeout_s: float) -> Answer:
    """Read the whole body within `timeout_s`, however slowly it drips.

    The time-out of `requests` is per read: a body that sends a byte now and then never ends it.
    """
    deadline = time.monotonic() + timeout_s
    pieces, size = [], 0
    try:
        while piece := response.raw.read1(_PIECE, decode_content=True):
            pieces.append(piece)
            size += len(piece)
            if time.monotonic() > deadline:
                raise TransientError(f"the body did not arrive within {timeout_s:g} s")
            if size > _MAX_BYTES:
                raise TransientError(f"the body is longer than {_MAX_BYTES} bytes")
    except (OSError, urllib3.exceptions.HTTPError) as error:
        raise TransientError(f"the body broke off: {type(error).__name__}") from error
    headers = response.headers
    return Answer(
        response.status_code,
        headers.get("Content-Type", ""),
        b"".join(pieces),
        _http_date(headers.get("Date")),
        _seconds(headers.get("Retry-After")),
    )


def judge(answer: Answer, media_type: str) -> None:
    """Return where `answer` is a success of the media type; otherwise raise what it means."""
    if answer.status == 200 and media_type in answer.media_type:
        return
    error = _error_of(answer)
    message = str(error.get("message") or "no message")
    told = f"HTTP {answer.status} {error.get('error_type') or answer.media_type}: {message}"
    if answer.status == 403:
        _refuse(error.get("error_type"), told)
    if answer.status == 429 or answer.status >= 500:
        raise TransientError(told, answer.status, answer.retry_after_s)
    if answer.status == 400:
        _judge_input(message, told)
    if answer.status in (200, 301, 302, 303, 307, 308) or error.get("error_type") in _PASSING:
        raise TransientError(f"{told}; is api_root right?", answer.status)
    raise RequestFailed(f"{told}; is api_root right?", answer.status)


_PASSING = ("DataException", "NetworkException")


def _refuse(error_type: object, told: str) -> None:
    if error_type == "PermissionException":
        raise PlanMissing(
            f"{told}; this API key has no plan for historical data: add it on developers.kite.trade"
        )
    if error_type == "TokenException":
        raise AuthenticationError(
            f"{told}; the session is dead (it ends at 06:00 IST, or with another login on the same "
            "key): run 'kitepipe login'"
        )
    raise TransientError(told, 403)


def _judge_input(message: str, told: str) -> None:
    """Kite tells these two apart by the message alone; published probes, KITE section 1."""
    if message == "invalid token":
        raise InstrumentRefused(told, 400)
    if found := re.match(r"interval exceeds max limit(?:: (\d+) days)?", message):
        raise WindowTooWide(told, 400, int(found[1]) if found[1] else None)


def _error_of(answer: Answer) -> dict[str, Any]:
    try:
        error = json.loads(answer.body[:_PIECE])
    except ValueError:
        return {"message": "the body is not JSON"}
    return error if isinstance(error, dict) else {}


def _http_date(text: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(text).astimezone(UTC) if text else None
    except ValueError:
        return None


def _seconds(text: str | None) -> float | None:
    """Return Retry-After where it counts seconds; as a date it is left to our own cool-down."""
    return float(text) if text and text.isdigit() else None
