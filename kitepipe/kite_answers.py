"""What an HTTP answer of Kite means: read it within a deadline, judge it by status and class.

Sources: https://kite.trade/docs/connect/v3/exceptions/ and the client's `exceptions.py`.
"""

import json
import re
import time
import zlib
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
        while piece := response.raw.read1(_PIECE, decode_content=False):
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
        _decoded(b"".join(pieces), headers.get("Content-Encoding", "identity").lower()),
        _http_date(headers.get("Date")),
        _seconds(headers.get("Retry-After")),
    )


def _decoded(body: bytes, encoding: str) -> bytes:
    """Undo the content encoding: gzip is all that we accept, and it must have come to its end."""
    if encoding == "identity" or not body:
        return body
    if encoding != "gzip":
        raise TransientError(f"the body is encoded as {encoding!r}, and gzip was asked for")
    unpacking = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacking.decompress(body, _MAX_BYTES)
    except zlib.error as error:
        raise TransientError(f"the body is no gzip: {error}") from error
    if not unpacking.eof:
        raise TransientError("the gzip body is cut off, or too long")
    return unpacked


def judge(answer: Answer, media_type: str) -> None:
    """Return where `answer` is a success of the media type; otherwise raise what it means."""
    if answer.status == 200 and media_type in answer.media_type:
        return
    error = _error_of(answer)
    kind, message = error.get("error_type"), str(error.get("message") or "no message")
    told = f"HTTP {answer.status} {kind or answer.media_type}: {message[:200]}"
    _judge_session(kind, told)
    if answer.status in (403, 429) or answer.status >= 500:
        raise TransientError(told, answer.status, answer.retry_after_s)
    if answer.status == 400:
        _judge_input(message, told)
    told += "; is api_root right?"
    if answer.status in _ODD or kind in _PASSING:
        raise TransientError(told, answer.status)
    raise RequestFailed(told, answer.status)


_ODD = (200, 301, 302, 303, 307, 308)
_PASSING = ("DataException", "NetworkException")


def _judge_session(kind: object, told: str) -> None:
    """End the run where the session is over: by class, whatever the status."""
    if kind == "PermissionException":
        raise PlanMissing(
            f"{told}; this API key has no plan for historical data: add it on developers.kite.trade"
        )
    if kind == "TokenException":
        raise AuthenticationError(
            f"{told}; the session is dead (it ends at 06:00 IST, or with another login on the same "
            "key): run 'kitepipe login', and unset KITEPIPE_ACCESS_TOKEN, which would go before it"
        )


def _judge_input(message: str, told: str) -> None:
    """Kite tells these two apart by the message alone; published probes, KITE section 1."""
    if message == "invalid token":
        raise InstrumentRefused(told, 400)
    if found := re.match(r"interval exceeds max limit(?:: (\d+) days)?", message):
        raise WindowTooWide(told, 400, int(found[1]) if found[1] else None)


def _error_of(answer: Answer) -> dict[str, Any]:
    try:
        error = json.loads(answer.body[:_PIECE])
    except (ValueError, RecursionError):
        return {"message": "the body is not JSON"}
    return error if isinstance(error, dict) else {}


def _http_date(text: str | None) -> datetime | None:
    try:
        date = parsedate_to_datetime(text or "")
        return date.astimezone(UTC) if date.tzinfo else date.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _seconds(text: str | None) -> float | None:
    """Return Retry-After where it counts seconds; as a date it is left to our own cool-down."""
    return float(text) if re.fullmatch(r"[0-9]{1,5}", text or "") and text else None
