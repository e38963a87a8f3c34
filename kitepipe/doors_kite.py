"""How Kite's door is opened from settings; apart, for it is what takes longest to import."""

from collections.abc import Iterator
from contextlib import contextmanager

from kitepipe.config import Settings
from kitepipe.fetch_pool import Stop
from kitepipe.holder import asking
from kitepipe.kite import KiteClientWrapper, KiteOptions
from kitepipe.ratelimit import RateLimiter
from kitepipe.staging_inspect import inspect_body


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
    limiter = RateLimiter(settings.rate_limit, sleep=stop.sleep)
    with (
        asking(settings.api_root, session.api_key, wait=wait),
        KiteClientWrapper(options, limiter, inspect_body, stop.sleep) as kite,
    ):
        kite.stop = stop.set
        try:
            yield kite
        finally:
            kite.stop()
