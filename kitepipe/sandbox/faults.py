"""What goes wrong on purpose: by rate, by script, or for one instrument."""

import gzip
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf

from kitepipe.errors import UsageError
from kitepipe.sandbox.replies import Reply, compact, error, permission_error, too_many_requests

OK = "ok"
KINDS: Mapping[str, str] = {
    OK: "nothing goes wrong",
    "429": "Too many requests",
    "500": "500 GeneralException",
    "502": "502 DataException",
    "503": "503 NetworkException",
    "504": "504 NetworkException",
    "5xx": "one of 500, 502, 503, 504",
    "html": "502 with an HTML body, as a gateway sends it",
    "html429": "429 with an HTML body",
    "html200": "200 with an HTML body",
    "reset": "the connection is reset",
    "stall": "nothing is ever sent",
    "hang": "half of the body is sent, then nothing",
    "drip": "the body comes byte by byte",
    "truncated": "the JSON is cut, the content length is that of the cut body",
    "short": "the connection closes before the content length is reached",
    "gzip": "the body is gzip, and its end is missing",
    "redirect": "302 to a page of HTML",
    "wrong_json": "valid JSON of another shape",
    "no_candles": "success without candles in data",
    "wrong_type": "the right body as text/plain",
    "no_type": "the right body without a content type",
    "empty": "200 with an empty body",
    "untyped": "an error without error_type",
    "expired_token": "the access token dies, and stays dead",
    "permission": "403 PermissionException",
}
_HTML = b"<html><head><title>502 Bad Gateway</title></head><body>gateway</body></html>"
_SERVER_ERRORS = {
    "500": (500, "Something unexpected went wrong.", "GeneralException"),
    "502": (502, "Gateway error", "DataException"),
    "503": (503, "Service unavailable", "NetworkException"),
    "504": (504, "Gateway timed out", "NetworkException"),
}


@dataclass(frozen=True, slots=True)
class Faults:
    """A plan of faults: `script` says what happens to the k-th history request, then `rates`."""

    rates: Mapping[str, float] = field(default_factory=dict)
    script: Sequence[str | None] = ()

    def __post_init__(self) -> None:
        unknown = [kind for kind in [*self.rates, *self.script] if kind and kind not in KINDS]
        if unknown:
            raise UsageError(f"faults: unknown {unknown[0]!r}; there are {', '.join(KINDS)}")
        if any(rate < 0 for rate in self.rates.values()) or sum(self.rates.values()) > 1:
            raise UsageError("faults: rates are shares between 0 and 1, together 1 at most")


def parse_faults(text: str) -> Faults:
    """Read `429=0.02,reset=0.01` as rates and `ok,429,reset` as a script; raise UsageError."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not any("=" in word for word in words):
        return Faults(script=tuple(words))
    rates: dict[str, float] = {}
    for word in words:
        kind, _, share = word.partition("=")
        try:
            rates[kind.strip()] = float(share)
        except ValueError:
            raise UsageError(f"faults: {word!r} is not KIND=SHARE, such as 429=0.02") from None
    return Faults(rates=rates)


class FaultPlan:
    """Says for each history request in turn what goes wrong with it; seeded, so repeatable."""

    def __init__(self, faults: Faults, seed: int = 0) -> None:
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._for_token: dict[int, tuple[str, float]] = {}
        self.set(faults)

    def set(self, faults: Faults) -> None:
        """Start another plan; its script counts from the next history request."""
        with self._lock:
            self._faults = faults
            self._asked = 0

    def fail(self, token: int, kind: str, times: int | None) -> None:
        """Let the next `times` requests for this token fail (None: all; 0: none any more)."""
        Faults(script=[kind])
        with self._lock:
            self._for_token[token] = (kind, inf if times is None else times)

    def next(self, token: int) -> str:
        """Return the kind of fault for the next history request, `ok` for none."""
        with self._lock:
            kind, left = self._for_token.get(token, (OK, 0))
            if left > 0:
                self._for_token[token] = (kind, left - 1)
            else:
                kind = self._planned()
            return kind if kind != "5xx" else self._random.choice(list(_SERVER_ERRORS))

    def _planned(self) -> str:
        asked, self._asked = self._asked, self._asked + 1
        if asked < len(self._faults.script):
            return self._faults.script[asked] or OK
        drawn = self._random.random()
        for kind, share in self._faults.rates.items():
            drawn -= share
            if drawn < 0:
                return kind
        return OK


def spoil_early(kind: str) -> Reply | None:
    """Return the reply of a fault that never looks at the request, None for other kinds."""
    if kind in _SERVER_ERRORS:
        return error(*_SERVER_ERRORS[kind])
    early: dict[str, Callable[[], Reply]] = {
        "429": too_many_requests,
        "html": lambda: Reply(502, _HTML, "text/html"),
        "html429": lambda: Reply(429, _HTML, "text/html"),
        "html200": lambda: Reply(200, _HTML, "text/html"),
        "redirect": lambda: Reply(302, _HTML, "text/html", {"Location": "/"}),
        "reset": lambda: Reply(0, b"", manner="reset"),
        "stall": lambda: Reply(0, b"", manner="stall"),
        "wrong_json": lambda: Reply(200, b'["success"]'),
        "no_candles": lambda: Reply(200, compact({"status": "success", "data": {}})),
        "empty": lambda: Reply(200, b""),
        "untyped": lambda: Reply(400, compact({"status": "error", "message": "no type"})),
        "permission": lambda: permission_error().reply(),
    }
    return early[kind]() if kind in early else None


def spoil_late(kind: str, reply: Reply) -> Reply:
    """Return the true reply damaged on its way, for kinds that need one."""
    if kind == "truncated":
        return replace(reply, body=reply.body[: max(1, len(reply.body) * 2 // 3)])
    if kind == "wrong_type":
        return replace(reply, content_type="text/plain")
    if kind == "no_type":
        return replace(reply, content_type=None)
    if kind == "gzip":
        cut = gzip.compress(reply.body, compresslevel=1, mtime=0)[:-9]
        return replace(reply, body=cut, headers={**reply.headers, "Content-Encoding": "gzip"})
    if kind in ("short", "hang", "drip"):
        return replace(reply, manner=kind)
    return reply
