"""Dated contracts: which contract stands in a line of the dump on a date.

Tokens are reused after expiry as on Kite: a contract's token is dead for three months, then
names another contract.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from zlib import crc32

import numpy as np

from kitepipe.model import Instrument
from kitepipe.sandbox.clock import ist_days
from kitepipe.sandbox.daily import day_candles
from kitepipe.sandbox.expiries import monthly_expiries
from kitepipe.sandbox.series import Listed, Spec

_FIRST_FUTURE = {"NFO": date(2000, 6, 12), "MCX": date(2005, 1, 3)}
_TOKEN_CODE = {"NFO": 2, "MCX": 7}
_REUSED_AFTER = 6  # contracts; three are alive at a time


@dataclass(frozen=True, slots=True)
class Slot:
    """One line of the dump that a series of contracts fills: the n-th expiry of an underlying."""

    exchange: str
    name: str
    base: Spec
    lot: int
    nth: int = 0
    right: str = ""
    steps: int = 0
    number: int = 0

    def listed(self, day: date) -> Listed:
        """Return the contract that stands here in the dump of this date."""
        expiries = monthly_expiries(self.exchange)
        index = int(np.searchsorted(expiries, ist_days(day))) + self.nth
        expiry = date(1970, 1, 1) + timedelta(days=int(expiries[index]))
        since = date(1970, 1, 1) + timedelta(days=int(expiries[index - 3]) + 1)
        strike = self._strike(since) if self.right else 0
        kind = f"{strike}{self.right}" if self.right else "FUT"
        symbol = f"{self.name}{expiry:%y%b}{kind}".upper()
        number = self.number + (index % _REUSED_AFTER) * 64
        instrument = Instrument(
            instrument_token=number * 256 + _TOKEN_CODE[self.exchange],
            exchange=self.exchange,
            tradingsymbol=symbol,
            name=self.name,
            instrument_type=self.right or "FUT",
            segment=f"{self.exchange}-{'OPT' if self.right else 'FUT'}",
            expiry=expiry,
            strike=float(strike),
            exchange_token=number,
            tick_size=0.05,
            lot_size=self.lot,
        )
        return Listed(instrument, self._spec(symbol, since, expiry, strike))

    def _spec(self, symbol: str, since: date, expiry: date, strike: int) -> Spec:
        return Spec(
            key=f"{self.exchange}:{symbol}",
            seed=crc32(symbol.encode()),
            market=self.exchange,
            first_day=since,
            last_day=expiry,
            lot=self.lot,
            base=self.base,
            right=self.right,
            strike=strike,
        )

    def _strike(self, since: date) -> int:
        days = day_candles(self.base)
        close = days.close[min(int(np.searchsorted(days.day, ist_days(since))), len(days.day) - 1)]
        return (round(int(close) / 10_000) + self.steps) * 100


def continuous(spec: Spec) -> Spec:
    """Return the series that stitches a future's near months together, up to its expiry."""
    return Spec(
        key=f"{spec.key}:continuous",
        seed=spec.seed,
        market=spec.market,
        first_day=_FIRST_FUTURE[spec.market],
        last_day=spec.last_day,
        lot=spec.lot,
        base=spec.base,
        rolling=True,
    )
