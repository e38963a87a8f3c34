"""kitepipe: market history from Zerodha's Kite Connect into TimescaleDB, in stages.

The public names are imported when they are first used: `import kitepipe` and `kitepipe --version`
load no driver.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kitepipe.candle import OHLCVCandle
    from kitepipe.config import ConfigLoader, Settings
    from kitepipe.doors_kite import kite_door
    from kitepipe.filters import InstrumentFilter
    from kitepipe.kite import KiteClientWrapper
    from kitepipe.model import Instrument, Interval, Window
    from kitepipe.pipeline import import_historic_data_from_kite, process_instrument
    from kitepipe.plan import Bounds, chunk_date_range
    from kitepipe.ratelimit import RateLimiter
    from kitepipe.warehouse import DatabaseManager

__version__ = "0.1.0"

__all__ = [
    "Bounds",
    "ConfigLoader",
    "DatabaseManager",
    "Instrument",
    "InstrumentFilter",
    "Interval",
    "KiteClientWrapper",
    "OHLCVCandle",
    "RateLimiter",
    "Settings",
    "Window",
    "__version__",
    "chunk_date_range",
    "import_historic_data_from_kite",
    "kite_door",
    "process_instrument",
]

_HOMES = {
    "Bounds": "plan",
    "ConfigLoader": "config",
    "DatabaseManager": "warehouse",
    "Instrument": "model",
    "InstrumentFilter": "filters",
    "Interval": "model",
    "KiteClientWrapper": "kite",
    "OHLCVCandle": "candle",
    "RateLimiter": "ratelimit",
    "Settings": "config",
    "Window": "model",
    "chunk_date_range": "plan",
    "import_historic_data_from_kite": "pipeline",
    "kite_door": "doors_kite",
    "process_instrument": "pipeline",
}


def __getattr__(name: str) -> Any:
    """Import a public name from its room, once."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names too."""
    return sorted({*globals(), *__all__})
