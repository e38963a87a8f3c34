"""What no setting can judge by itself: addresses, passwords, and settings against each other."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from kitepipe.errors import UsageError
from kitepipe.model import Interval

if TYPE_CHECKING:
    from kitepipe.settings import Settings

# Kite's documented limit for history, per API key.
KITE_RATE_LIMIT = 3.0


def is_loopback(url: str) -> bool:
    """Say whether this address is on this machine, by its name or number alone (no lookup)."""
    import ipaddress

    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def has_password(dsn: str) -> bool:
    """Say whether a connection string of either form carries a password."""
    if not re.match(r"\s*postgres(ql)?://", dsn):
        return bool(re.search(r"(^|\s)(ssl)?password\s*=", dsn))
    try:
        parts = urlsplit(dsn)
        in_query = any(name.endswith("password") for name, _ in parse_qsl(parts.query))
        return bool(parts.password) or in_query
    except ValueError:
        return "password" in dsn or bool(re.search(r"//[^/]*:[^/]*@", dsn))


def check_links(settings: "Settings", places: Mapping[str, str]) -> None:
    """Raise UsageError where settings do not fit together; `places` say where each was written."""

    def place(name: str) -> str:
        return places.get(name, name)

    root, rate = settings.api_root, settings.rate_limit
    if root.startswith("http://") and not is_loopback(root):
        raise UsageError(
            f'{place("api_root")} = "{root}": allowed is https://; http:// only on this machine, '
            "because requests carry your session"
        )
    if rate > KITE_RATE_LIMIT and not is_loopback(root):
        raise UsageError(
            f"{place('rate_limit')} = {rate:g}: allowed is a number up to {KITE_RATE_LIMIT:g}; "
            "Kite blocks keys that ask faster (a sandbox on this machine may be asked faster)"
        )
    base, cap = settings.backoff_base_s, settings.backoff_cap_s
    if cap < base and "backoff_cap_s" not in places:  # then the other one was written
        raise UsageError(
            f"{place('backoff_base_s')} = {base:g}: allowed is a number up to backoff_cap_s "
            f"({cap:g})"
        )
    if cap < base:
        raise UsageError(
            f"{place('backoff_cap_s')} = {cap:g}: allowed is a number from backoff_base_s "
            f"({base:g}) on"
        )
    if settings.continuous and Interval.DAY not in settings.candle_interval:
        raise UsageError(
            f"{place('continuous')} = true: allowed with candle_interval day only; Kite has no "
            "other continuous candles"
        )
