"""kitepipe: market history from Zerodha's Kite Connect into TimescaleDB, in stages."""

__version__ = "0.1.0"
