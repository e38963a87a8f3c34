"""What a history is made from, whatever token and symbol it is listed under."""

from dataclasses import dataclass
from datetime import date

from kitepipe.model import Instrument


@dataclass(frozen=True, slots=True)
class Spec:
    """The recipe of one history; equal recipes give equal candles on every run.

    `key` stays through renames and moves of the token. `price` is rupees on 2024-01-01.
    A future or an option is computed from its `base`; `rolling` is a continuous future.
    """

    key: str
    seed: int
    market: str
    first_day: date
    price: float = 100.0
    last_day: date | None = None
    index: bool = False
    illiquid: bool = False
    lot: int = 0
    base: "Spec | None" = None
    right: str = ""
    strike: int = 0
    rolling: bool = False

    @property
    def derivative(self) -> bool:
        """Say whether it has open interest and an expiry."""
        return self.base is not None


@dataclass(frozen=True, slots=True)
class Listed:
    """A row of the dump and the history behind it; `row` is its text where it came from a file."""

    instrument: Instrument
    spec: Spec
    row: str = ""

    def csv(self) -> str:
        """Return the row as Kite's dump has it, without the line's end."""
        if self.row:
            return self.row
        one = self.instrument
        expiry = one.expiry.isoformat() if one.expiry else ""
        name = f'"{one.name}"' if "," in one.name else one.name
        numbers = f"{_plain(one.strike)},{_plain(one.tick_size)},{one.lot_size}"
        return (
            f"{one.instrument_token},{one.exchange_token},{one.tradingsymbol},{name},0,"
            f"{expiry},{numbers},{one.instrument_type},{one.segment},{one.exchange}"
        )


def _plain(number: float) -> str:
    return f"{number:g}" if number < 100_000 else f"{number:.0f}"
