"""The sandbox's whole state, and the answer to each request: routes, order of checks, faults."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from time import monotonic
from typing import Protocol

from kitepipe.model import IST, Interval
from kitepipe.sandbox import journal
from kitepipe.sandbox.accounts import Accounts
from kitepipe.sandbox.catalogue import listed_on
from kitepipe.sandbox.clock import SandboxClock, ist_seconds
from kitepipe.sandbox.contracts import continuous
from kitepipe.sandbox.corrections import Corrections, corrected
from kitepipe.sandbox.faults import OK, FaultPlan, spoil_early, spoil_late
from kitepipe.sandbox.files import FileHistory, read_instruments
from kitepipe.sandbox.journal import Journal, LogEntry
from kitepipe.sandbox.limits import SlidingLimit
from kitepipe.sandbox.listing import Listing
from kitepipe.sandbox.options import SandboxOptions
from kitepipe.sandbox.query import Query, parse_query
from kitepipe.sandbox.render import HEAD, TAIL
from kitepipe.sandbox.replies import (
    KiteError,
    Reply,
    error,
    input_error,
    permission_error,
    too_many_requests,
)
from kitepipe.sandbox.series import Listed, Spec
from kitepipe.sandbox.synthetic import SyntheticHistory

_REBASED_AT = time(8, 0, tzinfo=IST)


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request as far as Kite looks at it; `received` is monotonic."""

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)
    authorization: str = ""
    received: float = field(default_factory=monotonic)
    target: str = ""

    @property
    def parts(self) -> list[str]:
        """Return the path's parts."""
        return [part for part in self.path.split("/") if part]

    @property
    def kind(self) -> str:
        """Return under which kind it is counted."""
        match self.parts:
            case ["instruments", "historical", *_]:
                return journal.HISTORICAL
            case ["instruments", *_]:
                return journal.INSTRUMENTS
            case ["session", *_]:
                return journal.SESSION
        return journal.OTHER


class History(Protocol):
    """Where candles come from: made up, or files."""

    def rows(
        self, spec: Spec, query: Query, now_s: float, splits: Sequence[tuple[date, float]]
    ) -> bytes:
        """Return the candles of a query as `[..],[..]`."""


class Market:
    """Answers requests; `Sandbox` and the control door change what it answers from."""

    def __init__(self, options: SandboxOptions) -> None:
        self.options = options
        self.clock = SandboxClock(options.now, options.clock_runs)
        self.accounts = Accounts(options.api_key, options.api_secret, options.token)
        self.faults = FaultPlan(options.faults, options.seed)
        self.corrections = Corrections()
        self.journal = Journal()
        self._splits: list[tuple[str, date, float]] = []
        self._history, self.listing = _source(options)
        window = (options.rate_window_s, options.cooldown_s)
        self._history_limit = SlidingLimit(options.rate_limit, *window)
        self._other_limit = SlidingLimit(options.rate_limit and options.other_rate_limit, *window)
        for split in options.splits:
            self.split(split.symbol, split.ex_date, split.ratio)

    def split(self, symbol: str | int, ex_date: date, ratio: float) -> None:
        """Re-base a history from 08:00 IST of the ex-date on."""
        row = self.listing.find(symbol, self.clock.now())
        self._splits.append((row.spec.key, ex_date, ratio))

    def limit(self, per_second: float | None) -> None:
        """Let another limit of history requests hold from now on; 0 or None: none."""
        self._history_limit.set(per_second)

    def answer(self, request: Request) -> Reply:
        """Return the reply to one request and note it in the journal."""
        limit = self._history_limit if request.kind == journal.HISTORICAL else self._other_limit
        fault = ""
        if not limit.admit():
            reply = too_many_requests()
        elif request.kind == journal.HISTORICAL:
            fault, reply = self._with_faults(request)
        else:
            reply = self._judged(request)
        status = reply.status if reply.manner not in ("reset", "stall") else 0
        self.journal.add(
            LogEntry(
                received=request.received,
                kind=request.kind,
                method=request.method,
                path=request.target or request.path,
                status=status,
                fault=fault,
                clock=self.clock.now(),
            )
        )
        return reply

    def _with_faults(self, request: Request) -> tuple[str, Reply]:
        token = request.parts[2] if len(request.parts) > 2 else ""
        fault = self.faults.next(int(token) if token.isdigit() else 0)
        if fault == OK:
            return "", self._judged(request)
        if fault == "expired_token":
            self.accounts.expire()
        reply = spoil_early(fault) or spoil_late(fault, self._judged(request))
        return fault, reply

    def _judged(self, request: Request) -> Reply:
        try:
            return self._routed(request)
        except KiteError as refused:
            return refused.reply()

    def _routed(self, request: Request) -> Reply:
        match (request.method, *request.parts):
            case ("GET", "instruments", "historical", token, interval):
                return self._historical(request, token, interval)
            case ("GET", "instruments", *exchange) if len(exchange) < 2:
                return self._dump(request, *exchange)
            case ("POST", "session", "token"):
                return self.accounts.login(request.form, self.clock.now())
            case ("DELETE", "session", "token"):
                return self.accounts.logout(request.params)
            case ("GET", "user", "profile"):
                self.accounts.check(request.authorization, self.clock.now())
                return self.accounts.profile()
        return error(404, "Route not found", "GeneralException")

    def _dump(self, request: Request, exchange: str | None = None) -> Reply:
        # Kite gives the dump to anybody; a session that is named has to be alive.
        if request.authorization:
            self.accounts.check(request.authorization, self.clock.now())
        body = self.listing.csv(self.clock.now(), exchange)
        return Reply(200, body, "text/csv")

    def _historical(self, request: Request, token: str, interval: str) -> Reply:
        now = self.clock.now()
        self.accounts.check(request.authorization, now)
        if not self.options.permission:
            raise permission_error()
        query = parse_query(token, interval, request.params, self.options.caps)
        row = self.listing.current(now).get(query.token)
        if row is None:
            raise input_error("invalid token")
        rows = self.candle_rows(_spec(row, query), query, now)
        return Reply(200, HEAD + rows + TAIL)

    def candle_rows(self, spec: Spec, query: Query, now: datetime) -> bytes:
        """Return the candles of a query at an instant as `[..],[..]`, rebased and corrected."""
        splits = [
            (day, ratio)
            for key, day, ratio in self._splits
            if key == spec.key and now >= datetime.combine(day, _REBASED_AT)
        ]
        rows = self._history.rows(spec, query, ist_seconds(now), splits)
        due = self.corrections.due(spec.key, query, now)
        return corrected(rows, due, query) if due else rows


def _source(options: SandboxOptions) -> tuple[History, Listing]:
    if options.data is not None:
        rows = read_instruments(options.data)
        return FileHistory(options.data, options.day_stamp), Listing(lambda _: rows)
    history = SyntheticHistory(options.day_stamp, options.placeholders)
    return history, Listing(lambda day: listed_on(options.instruments, day))


def _spec(row: Listed, query: Query) -> Spec:
    if not query.continuous:
        return row.spec
    future = row.instrument.instrument_type == "FUT" and row.instrument.exchange in ("NFO", "MCX")
    if not future or query.interval is not Interval.DAY:
        raise input_error("invalid interval for continuous data")
    return continuous(row.spec) if row.spec.base else row.spec
