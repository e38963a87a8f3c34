"""How the doors are opened from settings: Kite, the staging file, the warehouse.

Everything here is a context manager, and what it opens is closed by its end.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta

from kitepipe.config import Settings
from kitepipe.errors import UsageError
from kitepipe.fetch_pool import Stop
from kitepipe.filters import InstrumentFilter
from kitepipe.holder import asking
from kitepipe.kite import KiteClientWrapper, KiteOptions
from kitepipe.ratelimit import RateLimiter
from kitepipe.staging_inspect import BodyInspector


@contextmanager
def kite_door(settings: Settings, *, wait: bool = False) -> Iterator[KiteClientWrapper]:
    """Open Kite with the session of `settings`, as the only process of this machine that asks.

    At the end nobody sleeps in it any more. Raises AuthenticationError without a session, and
    StagingBusy where another process asks with the same key, unless `wait`.
    """
    session = settings.session()
    options = KiteOptions(
        api_root=settings.api_root,
        api_key=session.api_key,
        access_token=session.access_token,
        timeout_s=settings.timeout_s,
        max_attempts=settings.max_attempts,
        backoff_base_s=settings.backoff_base_s,
        backoff_cap_s=settings.backoff_cap_s,
        connections=settings.parallel_workers,
    )
    stop = Stop()
    limiter = RateLimiter(
        settings.rate_limit, sleep=stop.sleep, slow_start=2 * settings.parallel_workers
    )
    with (
        asking(settings.api_root, session.api_key, wait=wait),
        BodyInspector() as inspector,
        KiteClientWrapper(options, limiter, inspector.inspect, stop.sleep) as kite,
    ):
        kite.stop = stop.set
        try:
            yield kite
        finally:
            kite.stop()


@contextmanager
def warehouse_dsn(settings: Settings) -> Iterator[str]:
    """Yield the DSN of the warehouse; `embedded` starts a PostgreSQL of the user's own.

    Raises UsageError where none is set: a mistyped variable must not fill a private database.
    """
    if settings.dsn is None:
        raise UsageError(
            "no database: set KITEPIPE_DSN, or dsn in kitepipe.toml, such as "
            'postgresql://me@localhost/kite; dsn = "embedded" runs one of your own'
        )
    if settings.dsn != "embedded":
        yield settings.dsn
        return
    from kitepipe.embedded import embedded_dsn

    with embedded_dsn(settings.embedded_folder) as dsn:
        yield dsn


def wanted_instruments(settings: Settings, today: date) -> InstrumentFilter:
    """Return the filter that the settings describe on an IST date.

    What has expired passes: until the next dump its token still answers.
    """
    within = settings.expiry_within_days
    return InstrumentFilter(
        settings.instrument_types,
        settings.exchanges,
        settings.segments,
        settings.tradingsymbols,
        expiry_to=today + timedelta(days=within) if within else None,
        plain_equities=settings.plain_equities,
    )
