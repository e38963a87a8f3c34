"""A sandbox that runs: in a thread beside a test, or in the foreground of `kitepipe sandbox`."""

import threading
from collections.abc import Callable
from datetime import date, datetime
from types import TracebackType
from typing import Self

from kitepipe.errors import UsageError
from kitepipe.model import Instrument, Interval
from kitepipe.sandbox.catalogue import new_listing
from kitepipe.sandbox.clock import as_instant
from kitepipe.sandbox.corrections import Correction
from kitepipe.sandbox.faults import Faults
from kitepipe.sandbox.journal import LogEntry, RequestCounts
from kitepipe.sandbox.market import Market
from kitepipe.sandbox.options import SandboxOptions
from kitepipe.sandbox.server import SandboxServer


class Sandbox:
    """A sandbox in a thread: `with Sandbox(SandboxOptions(...)) as sandbox: sandbox.url`.

    Instruments are named `NSE:INFY`, `INFY` or by token. Instants without an offset are IST.
    """

    def __init__(self, options: SandboxOptions | None = None) -> None:
        self.options = options or SandboxOptions()
        self.market = Market(self.options)
        self._server: SandboxServer
        self._thread: threading.Thread

    def __enter__(self) -> Self:
        self._server = _bind(self.options, self.market)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="sandbox", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.stop()
        self._thread.join()
        if self._server.bugs and error is None:
            raise RuntimeError(f"sandbox: a request broke it:\n{self._server.bugs[0]}")

    @property
    def url(self) -> str:
        """Return the api root, such as http://127.0.0.1:40123."""
        return self._server.url

    @property
    def now(self) -> datetime:
        """Return the sandbox's clock, in UTC."""
        return self.market.clock.now()

    @property
    def access_token(self) -> str | None:
        """Return the access token that is alive."""
        return self.market.accounts.token

    @property
    def requests(self) -> RequestCounts:
        """Return what was asked and answered up to now."""
        return self.market.journal.counts

    @property
    def log(self) -> list[LogEntry]:
        """Return every request in the order of receipt."""
        return self.market.journal.entries

    def clear_log(self) -> None:
        """Count from nothing again."""
        self.market.journal.clear()

    def set_now(self, now: datetime | None, runs: bool | None = None) -> None:
        """Move the clock; None is the real clock."""
        self.market.clock.set(now, runs)

    def token_of(self, symbol: str | int) -> int:
        """Return the instrument token under which a symbol is listed now."""
        return self.market.listing.find(symbol, self.now).instrument.instrument_token

    def split(self, symbol: str | int, ex_date: date, ratio: float) -> None:
        """Divide all history before `ex_date` by `ratio`, from 08:00 IST of that date on."""
        self.market.split(symbol, ex_date, ratio)

    def correct(
        self,
        symbol: str | int,
        interval: Interval | str,
        at: datetime,
        *,
        since: datetime | None = None,
        gone: bool = False,
        raw: str | None = None,
        **values: float | str | None,
    ) -> None:
        """Change the candle that opens at `at`, add it, or let it vanish, from `since` on.

        Values are open, high, low, close, volume, oi or date; `raw` is JSON instead of a candle.
        """
        since = as_instant(since) if since else None
        one = Correction(as_instant(at), values, raw, gone, since)
        key = self.market.listing.find(symbol, self.now).spec.key
        self.market.corrections.add(key, Interval(interval), one)

    def list_instrument(
        self,
        instrument: Instrument,
        *,
        first_day: date = date(1995, 1, 1),
        price: float = 100.0,
        at: datetime | None = None,
    ) -> None:
        """List another instrument with made-up history since `first_day`."""
        row = new_listing(instrument, first_day, price)
        self.market.listing.add(row, as_instant(at) if at else None)

    def delist(self, symbol: str | int, *, at: datetime | None = None) -> None:
        """Take an instrument off the dump; its token is invalid from then on."""
        self.market.listing.remove(symbol, as_instant(at) if at else None)

    def rename(self, symbol: str | int, tradingsymbol: str, *, at: datetime | None = None) -> None:
        """Give an instrument another symbol."""
        self.market.listing.rename(symbol, tradingsymbol, as_instant(at) if at else None)

    def move_token(self, symbol: str | int, token: int, *, at: datetime | None = None) -> None:
        """Give an instrument another token; the old one is invalid from then on."""
        self.market.listing.move_token(symbol, token, as_instant(at) if at else None)

    def expire_token(self) -> None:
        """Kill the access token: 403 until the next login."""
        self.market.accounts.expire()

    def faults(self, faults: Faults) -> None:
        """Start another plan of faults; its script counts from the next history request."""
        self.market.faults.set(faults)

    def fail(self, symbol: str | int, kind: str, times: int | None = None) -> None:
        """Let the next `times` requests for one instrument fail; None: all of them."""
        self.market.faults.fail(self.token_of(symbol), kind, times)


def serve(options: SandboxOptions, say: Callable[[str], None]) -> None:
    """Serve in the foreground until interrupted; `say` gets the line that it is ready."""
    server = _bind(options, Market(options))
    try:
        say(f"listening on {server.url}")
        server.serve_forever(0.2)
    except KeyboardInterrupt:
        pass
    finally:
        server.stopping.set()
        server.server_close()


def _bind(options: SandboxOptions, market: Market) -> SandboxServer:
    try:
        return SandboxServer(options, market)
    except OSError as error:
        raise UsageError(f"sandbox: port {options.port} cannot be used: {error}") from error
