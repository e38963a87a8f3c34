"""What a sandbox can be told at its start; the same options stand behind `kitepipe sandbox`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from kitepipe.sandbox.faults import Faults


@dataclass(frozen=True, slots=True)
class Split:
    """History before `ex_date` is divided by `ratio` from 08:00 IST of that date on."""

    symbol: str
    ex_date: date
    ratio: float


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """Options of one sandbox; each default is the closest to Kite that is still quick.

    Units stand in the names. `rate_limit` is requests per second for history, 0 or None for no
    limit at all; `latency_ms` is a number or a range, drawn evenly. `now=None` is the real clock;
    otherwise the clock stands there, or runs on from there with `clock_runs`. `data` is a folder
    of real candles, served instead of synthetic history.
    """

    port: int = 0
    rate_limit: float | None = 3.0
    other_rate_limit: float = 10.0
    rate_window_s: float = 1.0
    cooldown_s: float = 0.0
    latency_ms: float | tuple[float, float] = 0.0
    jitter_ms: float = 0.0
    now: datetime | None = None
    clock_runs: bool = False
    api_key: str = "sandbox_key"
    api_secret: str = field(default="sandbox_secret", repr=False)
    token: str = field(default="sandbox_token", repr=False)
    permission: bool = True
    data: Path | None = None
    faults: Faults = field(default_factory=Faults)
    splits: tuple[Split, ...] = ()
    instruments: int = 60
    caps: Mapping[str, int] = field(default_factory=dict)
    day_stamp: str = "00:00:00"
    date_header: bool = True
    gzip_history: bool = False
    placeholders: bool = False
    stall_s: float = 3600.0
    drip_s: float = 0.2
    seed: int = 0
