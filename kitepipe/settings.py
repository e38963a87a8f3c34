"""The settings: one frozen object, and with each of its fields what that key may be.

The fields of `Settings` are the one table of keys: file, variables, flags, the file that `init`
writes and the documentation all come from it.
"""

from dataclasses import dataclass, field, fields
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from kitepipe.config_kinds import (
    Day,
    FilePath,
    Intervals,
    Kind,
    Names,
    Number,
    Share,
    Switch,
    Text,
    Whole,
)
from kitepipe.errors import AuthenticationError
from kitepipe.model import IST, Interval, utc_now
from kitepipe.session_file import Session, read_session


class Key(NamedTuple):
    """One setting: its name, what it may be, its default and one line about it."""

    name: str
    kind: Kind
    default: Any
    help: str
    secret: bool

    @property
    def variable(self) -> str:
        """Return the name of its environment variable."""
        return f"KITEPIPE_{self.name.upper()}"

    @property
    def flag(self) -> str:
        """Return its flag; a secret has none, because others may read command lines."""
        return "" if self.secret else f"--{self.name.replace('_', '-')}"


def _key(kind: Kind, text: str, secret: bool = False) -> dict[str, Any]:
    return {"kind": kind, "help": text, "secret": secret}


_TYPES = Names("a list of EQ, FUT, CE, PE", choices=("EQ", "FUT", "CE", "PE"))
_CODES = Names("a list of Kite's names in capitals, such as NSE", form=r"[A-Z][A-Z0-9_-]{0,30}")
_SYMBOLS = Names(
    "a list such as INFY, NSE:INFY or NIFTY*; * and ? stand for any characters, any one character",
    form=r"[^\s,:][^,:]{0,60}(:[^\s,:][^,:]{0,60})?",
)
_DSN = Text(
    "embedded, postgresql://user@host/database, or host=... dbname=... user=...",
    form=r"embedded|postgres(ql)?://\S+|\s*\w+\s*=.*",
    optional=True,
)
_ROOT = Text(
    "https://host[:port] without a path; http:// for this machine only",
    form=r"https?://[^\s/?#@]+",
    idle_end="/",
)
_SECRET = Text("the text that Kite gave", form=r"[\x21-\x7e]{1,500}", optional=True)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that one run is told; units stand in names, secrets in no repr."""

    enabled: bool = field(
        default=True, metadata=_key(Switch(), "false: every stage says so, does nothing, exits 0")
    )
    candle_interval: tuple[Interval, ...] = field(
        default=(Interval.DAY,), metadata=_key(Intervals(), "candle lengths, one or several")
    )
    instrument_types: tuple[str, ...] = field(
        default=(), metadata=_key(_TYPES, "only these types; none: all")
    )
    exchanges: tuple[str, ...] = field(
        default=(), metadata=_key(_CODES, "only these exchanges; none: all")
    )
    segments: tuple[str, ...] = field(
        default=(), metadata=_key(_CODES, "only these segments; none: all")
    )
    tradingsymbols: tuple[str, ...] = field(
        default=(), metadata=_key(_SYMBOLS, "only these instruments; none: all")
    )
    expiry_within_days: int = field(
        default=0,
        metadata=_key(Whole(0, 3650), "only contracts that expire within so many days; 0: all"),
    )
    plain_equities: bool = field(
        default=False,
        metadata=_key(Switch(), "only shares in their regular series: no debt, SME, index, future"),
    )
    shard: tuple[int, int] | None = field(
        default=None,
        metadata=_key(Share(), "only this share of all, where several machines share the work"),
    )
    batch_size: int = field(
        default=50, metadata=_key(Whole(1, 100_000), "instruments processed together")
    )
    rate_limit: float = field(
        default=3.0,
        metadata=_key(Number(0, 10_000, above=True), "requests a second; Kite allows at most 3"),
    )
    parallel_workers: int = field(
        default=8, metadata=_key(Whole(1, 64), "requests to Kite under way at once")
    )
    load_workers: int = field(default=2, metadata=_key(Whole(1, 32), "series loaded at once"))
    max_attempts: int = field(
        default=5, metadata=_key(Whole(1, 20), "times that a request is tried, in all")
    )
    backoff_base_s: float = field(
        default=1.0, metadata=_key(Number(0, 3600), "first wait before another try, in seconds")
    )
    backoff_cap_s: float = field(
        default=60.0, metadata=_key(Number(0, 3600), "longest wait before another try, in seconds")
    )
    timeout_s: float = field(
        default=30.0,
        metadata=_key(Number(0, 600, above=True), "longest time for one answer, in seconds"),
    )
    bootstrap_date: date = field(
        default=date(1995, 1, 1), metadata=_key(Day(), "start of history for a series without data")
    )
    oi: bool = field(default=False, metadata=_key(Switch(), "ask for open interest too"))
    continuous: bool = field(
        default=False,
        metadata=_key(Switch(), "one continuous series for each NFO and MCX future, by the day"),
    )
    settle_margin_minutes: int = field(
        default=15,
        metadata=_key(Whole(0, 1440), "minutes after the close until a date counts as settled"),
    )
    staging: Path = field(
        default=Path("kitepipe.duckdb"), metadata=_key(FilePath(), "the file of raw replies")
    )
    archive: Path = field(
        default=Path("kitepipe-archive"),
        metadata=_key(
            FilePath("the path of a folder"),
            "where 'kitepipe archive' keeps replies that are loaded",
        ),
    )
    dsn: str | None = field(  # from the environment it may hold a password
        default=None, repr=False, metadata=_key(_DSN, "the database to fill")
    )
    api_root: str = field(
        default="https://api.kite.trade", metadata=_key(_ROOT, "where Kite's API answers")
    )
    session_file: Path = field(
        default=Path("~/.config/kitepipe/session.json"),
        metadata=_key(FilePath(), "where 'kitepipe login' keeps the session"),
    )
    api_key: str | None = field(
        default=None, repr=False, metadata=_key(_SECRET, "your app's key at Kite Connect", True)
    )
    api_secret: str | None = field(
        default=None, repr=False, metadata=_key(_SECRET, "your app's secret, for login", True)
    )
    access_token: str | None = field(
        default=None, repr=False, metadata=_key(_SECRET, "a session opened elsewhere", True)
    )

    # Not keys: where the settings came from, and the home of the embedded PostgreSQL.
    config_file: Path | None = None
    embedded_folder: Path = Path("~/.local/share/kitepipe/postgres")

    def session(self) -> Session:
        """Return the keys for Kite, from variables or from the file that `login` wrote."""
        if self.api_key and self.access_token:
            return Session(self.api_key, self.access_token)
        stored = read_session(self.session_file)
        if stored is None:
            raise AuthenticationError(
                "no Kite session: run 'kitepipe login', or set KITEPIPE_API_KEY and "
                "KITEPIPE_ACCESS_TOKEN"
            )
        if self.access_token:
            return Session(stored.api_key, self.access_token)
        if self.api_key and self.api_key != stored.api_key:
            raise AuthenticationError(
                f"session file {self.session_file} is for another API key than "
                "KITEPIPE_API_KEY; run 'kitepipe login'"
            )
        if stored.dies_at and stored.dies_at <= utc_now():
            raise AuthenticationError(
                f"the Kite session ended at {stored.dies_at.astimezone(IST):%Y-%m-%d %H:%M} IST, "
                "as all do at 06:00; run 'kitepipe login'"
            )
        return stored


KEYS = {
    f.name: Key(f.name, f.metadata["kind"], f.default, f.metadata["help"], f.metadata["secret"])
    for f in fields(Settings)
    if f.metadata
}
