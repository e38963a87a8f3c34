"""KiteClientWrapper: the only HTTP; Kite's errors become ours here, and retry stands here.

The official client supplies login, checksum and session. History goes round its parser, which
takes 2 s of CPU a reply and throws the raw body away: we keep the body and parse it in SQL.
"""

import json
import logging
import random
import sys
import threading
import types
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, TypeVar

import tenacity

from kitepipe.candle import OHLCVCandle
from kitepipe.errors import (
    AuthenticationError,
    KitepipeError,
    KiteUnreachable,
    RequestFailed,
    TransientError,
)
from kitepipe.kite_answers import Answer, judge, read_answer
from kitepipe.kite_wire import PacedAdapter
from kitepipe.model import IST, Contents, Instrument, Interval, Reply, Series, Window, utc_now
from kitepipe.ratelimit import RateLimiter

# `kiteconnect/__init__.py` imports its ticker, and that Twisted (0.9 s, absent in the executable).
_ticker = types.ModuleType("kiteconnect.ticker")
_ticker.KiteTicker = None  # type: ignore[attr-defined]
sys.modules.setdefault("kiteconnect.ticker", _ticker)

import requests  # noqa: E402
from kiteconnect import KiteConnect  # noqa: E402
from kiteconnect import exceptions as kite_errors  # noqa: E402

log = logging.getLogger(__name__)
T = TypeVar("T")

# Asking again inside the cool-down of a 429 extends it; it lasts about 10 s (KITE section 4).
COOL_DOWN_S = 10.0
Inspect = Callable[[str], Contents]


@dataclass(frozen=True, slots=True)
class KiteOptions:
    """How to reach Kite and how stubbornly; secrets stay out of `repr`."""

    api_root: str
    api_key: str
    access_token: str
    timeout_s: float = 30.0
    max_attempts: int = 5
    backoff_base_s: float = 1.0
    backoff_cap_s: float = 60.0
    connections: int = 8

    def __repr__(self) -> str:
        return f"KiteOptions({self.api_root!r})"


class KiteClientWrapper:
    """Ask Kite, at the limiter's pace, as often as it is worth trying.

    `inspect` tells what a body contains, and raises ValueError where it is not a complete
    success reply. It is native code, and runs in threads that the end waits for: one that comes
    back from C++ while the interpreter ends would abort the process. `sleep` waits between
    attempts and may raise to end them; `clock` stamps replies. Safe to use from several threads.
    """

    def __init__(
        self,
        options: KiteOptions,
        limiter: RateLimiter,
        inspect: Inspect,
        sleep: Callable[[float], None] = tenacity.nap.sleep,
    ) -> None:
        self.clock: Callable[[], datetime] = utc_now
        self.stop: Callable[[], None] = lambda: None  # ends what threads sleep in here, for good
        self._options = options
        self._limiter = limiter
        self._inspect = inspect
        self._looking = ThreadPoolExecutor(1, "look")
        self._kite = KiteConnect(api_key=options.api_key, root=options.api_root)
        adapter = PacedAdapter(self._take_turn, options.connections)
        for scheme in ("https://", "http://"):
            self._kite.reqsession.mount(scheme, adapter)
        self._retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(options.max_attempts),
            wait=_wait(options),
            retry=tenacity.retry_if_exception_type(TransientError),
            sleep=sleep,
            before_sleep=_log_retry,
            reraise=True,
        )
        self.requests = 0  # HTTP requests sent so far, retries included
        self._counting = threading.Lock()
        self._sent = threading.local()  # `turn`: of this thread's newest request

    @property
    def found_rate(self) -> float | None:
        """The requests a second that Kite takes, where they are not those we began with."""
        return self._limiter.found

    def __enter__(self) -> "KiteClientWrapper":
        return self

    def __exit__(self, *exc: object) -> None:
        self._looking.shutdown(cancel_futures=True)
        self._kite.reqsession.close()

    def fetch_reply(self, series: Series, window: Window) -> Reply:
        """Return the raw reply for `window` of `series`, once it is a complete success reply.

        Raises AuthenticationError or PlanMissing (the run is over), InstrumentRefused,
        WindowTooWide, or RequestFailed when every attempt failed.
        """
        path = f"/instruments/historical/{series.instrument.instrument_token}/{series.interval}"
        query = {
            "from": window.from_text,
            "to": window.to_text,
            "continuous": int(series.continuous),
            "oi": int(series.oi),
        }

        def attempt() -> Reply:
            answer = self._get(path, query)
            body, at = answer.text(), answer.date
            del answer  # eight threads wait below, and its bytes are 1 MB as well
            try:
                contents = self._looking.submit(self._inspect, body).result()
            except ValueError as error:
                raise TransientError(f"not a complete success reply: {error}") from error
            return Reply(body, self.clock(), at, contents)

        reply, attempts = self._persist(attempt, f"{series} {window}")
        return replace(reply, attempts=attempts)

    def fetch_instruments(self, exchange: str = "") -> tuple[bytes, datetime | None]:
        """Return the instruments dump as CSV bytes, of all exchanges or one, and its HTTP date."""
        path = f"/instruments/{exchange}" if exchange else "/instruments"

        def attempt() -> tuple[bytes, datetime | None]:
            answer = self._get(path, {}, media_type="csv")
            if not answer.body.startswith(b"instrument_token,"):
                raise TransientError("not an instruments dump: its header is missing")
            return answer.body, answer.date

        return self._persist(attempt, f"instruments {exchange or 'of all exchanges'}")[0]

    def check_session(self) -> datetime:
        """Ask Kite whether the session is good, and return its clock (ours where it shows none).

        Raises AuthenticationError, or KiteUnreachable after every attempt.
        """
        try:
            answer, _ = self._persist(lambda: self._get("/user/profile", {}), "session")
        except RequestFailed as error:
            raise KiteUnreachable(str(error)) from error
        return answer.date or self.clock()

    def fetch_historical_data(
        self,
        instrument_token: int,
        from_date: date,
        to_date: date,
        interval: Interval | str,
        continuous: bool = False,
        oi: bool = False,
    ) -> list[dict[str, Any]] | dict[str, Any]:
        """Return the candles of inclusive IST dates as dicts (`OHLCVCandle.to_dict`), unjudged.

        One window: the dates must fit the interval's cap; of a datetime its IST date counts.
        Dates of candles are aware datetimes.
        Where it came to nothing: `{"error": why, "error_type": class, "code": HTTP status}`.
        """
        instrument = Instrument(instrument_token, "", f"token {instrument_token}")
        try:
            series = Series(0, instrument, Interval(interval), 0, oi, continuous)
            reply = self.fetch_reply(series, Window(_ist_date(from_date), _ist_date(to_date)))
        except (KitepipeError, ValueError) as error:  # ValueError: no such interval, no such window
            code = getattr(error, "code", None)
            return {"error": str(error), "error_type": type(error).__name__, "code": code}
        rows = json.loads(reply.body)["data"]["candles"]
        return [OHLCVCandle.from_kite_response(row).to_dict() for row in rows]

    def _get(self, path: str, query: dict[str, Any], media_type: str = "json") -> Answer:
        """Send one paced request and return its answer if it is a success."""
        options = self._options
        try:
            with self._kite.reqsession.get(
                options.api_root.rstrip("/") + path,
                params=query,
                headers={"X-Kite-Version": "3", "Accept-Encoding": "gzip"},
                auth=self._sign,
                timeout=options.timeout_s,
                allow_redirects=False,  # a redirect would carry the token to another host
                stream=True,
            ) as response:
                answer = read_answer(response, options.timeout_s)
        except requests.RequestException as error:
            raise TransientError(_network_advice(error, options.api_root)) from error
        try:
            judge(answer, media_type)
        except TransientError as error:
            if error.code == 429:
                self._limiter.pause(error.retry_after_s or COOL_DOWN_S, self._sent.turn)
            raise
        return answer

    def _take_turn(self) -> None:
        self._sent.turn = self._limiter.wait_if_needed()
        with self._counting:
            self.requests += 1

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put the session on a request; a header alone would give way to a ~/.netrc."""
        options = self._options
        request.headers["Authorization"] = f"token {options.api_key}:{options.access_token}"
        return request

    def _persist(self, attempt: Callable[[], T], what: str) -> tuple[T, int]:
        """Try until it works or is not worth another try; say what it was, and how often."""
        retrying = self._retrying.copy()
        try:
            result = retrying(attempt)
        except RequestFailed as error:
            error.attempts = int(retrying.statistics.get("attempt_number", 1))
            error.args = (f"{what}: {error}",)
            raise
        return result, int(retrying.statistics.get("attempt_number", 1))


def login_url(api_root: str, api_key: str) -> str:
    """Return the page on which the user logs in; Kite then redirects with a request_token."""
    return str(KiteConnect(api_key=api_key, root=api_root).login_url())


def open_session(
    api_root: str, api_key: str, request_token: str, api_secret: str
) -> dict[str, Any]:
    """Exchange a request_token for a session: Kite's `user_id`, `access_token` and the like.

    Raises AuthenticationError where Kite refuses it, KiteUnreachable where it does not answer.
    """
    kite = KiteConnect(api_key=api_key, root=api_root)
    try:
        return dict(kite.generate_session(request_token, api_secret=api_secret))
    except (kite_errors.TokenException, kite_errors.InputException) as error:
        raise AuthenticationError(
            f"Kite refused this login: {error}; a request_token lives for minutes and is good "
            "once, so open the login page again; or the API secret is another key's"
        ) from error
    except (kite_errors.KiteException, requests.RequestException, KeyError, TypeError) as error:
        raise KiteUnreachable(f"login at {api_root}: {type(error).__name__}: {error}") from error


def _ist_date(day: date) -> date:
    """Return a plain date; a datetime without an offset is taken for IST's wall clock."""
    if not isinstance(day, datetime):
        return day
    return (day.astimezone(IST) if day.tzinfo else day).date()


def _wait(options: KiteOptions) -> Callable[[tenacity.RetryCallState], float]:
    """Double from attempt to attempt up to a cap, and never less than the server wished.

    Jitter takes up to a half away: the attempts of many threads spread, and below the cap no wait
    is shorter than the one before.
    """

    def wait(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        longest = options.backoff_base_s * 2.0 ** (state.attempt_number - 1)
        backoff = min(longest, options.backoff_cap_s) * random.uniform(0.5, 1)
        return max(backoff, getattr(error, "retry_after_s", None) or 0.0)

    return wait


def _log_retry(state: tenacity.RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    wait_s = state.next_action.sleep if state.next_action else 0.0
    log.info("attempt %d failed (%s); again in %.1f s", state.attempt_number, error, wait_s)


def _network_advice(error: requests.RequestException, api_root: str) -> str:
    if isinstance(error, requests.Timeout):
        return f"{api_root} did not answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return f"{api_root}: TLS cannot be verified: {error}"
    return f"{api_root}: connection failed ({type(error).__name__}); is api_root right?"
