"""What settings say of the doors: which database it is, and which instruments are wanted."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta

from kitepipe.config import Settings
from kitepipe.errors import UsageError
from kitepipe.filters import InstrumentFilter


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
        shard=settings.shard,
    )
