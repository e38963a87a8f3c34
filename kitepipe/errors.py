"""Every error kitepipe raises on purpose, each with the exit code of the command that it ends.

The tree, by what the caller must do:

    KitepipeError
    ├── UsageError              2   change the command or the configuration
    ├── AuthenticationError    10   log in again
    │   └── PlanMissing        10   buy the data plan for this key
    ├── KiteUnreachable        11   look at the network, try later
    ├── AllInstrumentsFailed   11   read the failures
    ├── StagingError           12   see what is wrong with the staging file
    │   ├── StagingBusy        12   wait for the process that holds it
    │   └── ArchiveOutOfReach  12   bring the file back (load, verify: counted, the rest goes on)
    ├── WarehouseError         13   bring the database up, or apply the schema
    │   ├── SchemaMissing      13   run `kitepipe schema`
    │   ├── ConnectionLost     --   reconnect and start the series again
    │   ├── Collision          --   start the series again, comparing
    │   └── SeriesRefused      --   count it, go on with the rest
    └── RequestFailed          --   one window failed; the run goes on
        ├── TransientError     --   worth another try
        ├── InstrumentRefused  --   Kite does not know this token (any more)
        └── WindowTooWide      --   split the window

Classes without a code never leave a stage: they are counted there.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kitepipe.summary import Report


class KitepipeError(Exception):
    """The root: `str()` of it says what, which and what to do; it never holds a secret.

    `report` is what a run had done when it ended so: the summary is shown all the same.
    """

    exit_code = 1
    report: "Report | None" = None


class UsageError(KitepipeError):
    """The command line, a variable or the configuration file asks for something impossible."""

    exit_code = 2


class AuthenticationError(KitepipeError):
    """Kite refused the session: missing, dead, or killed by another login."""

    exit_code = 10


class PlanMissing(AuthenticationError):
    """The session is good, but this API key has no plan for historical data."""


class KiteUnreachable(KitepipeError):
    """Kite gave no usable answer, after every retry."""

    exit_code = 11


class AllInstrumentsFailed(KitepipeError):
    """Not one instrument of the run succeeded."""

    exit_code = 11


class StagingError(KitepipeError):
    """The staging file is damaged, foreign, newer than this kitepipe, or cannot be written."""

    exit_code = 12


class StagingBusy(StagingError):
    """Another process holds the staging file."""


class ArchiveOutOfReach(StagingError):
    """A file of archived replies is missing, cannot be read, or holds something else."""


class WarehouseError(KitepipeError):
    """The warehouse cannot be reached or used."""

    exit_code = 13


class SchemaMissing(WarehouseError):
    """The database answers, but kitepipe's tables are missing or of another version."""


class ConnectionLost(WarehouseError):
    """The connection broke in the middle: nothing was committed, the series may start again."""


class Collision(WarehouseError):
    """A foreign writer inserted a candle between the probe and the COPY."""


class SeriesRefused(WarehouseError):
    """The server refused this series for a reason of its own; others are not concerned."""


class RequestFailed(KitepipeError):
    """One request came to nothing, for good; `code` is the HTTP status or None.

    `attempts` counts the HTTP requests that were spent on it.
    """

    exit_code = 11

    def __init__(self, message: str, code: int | None = None, attempts: int = 1) -> None:
        super().__init__(message)
        self.code = code
        self.attempts = attempts


class TransientError(RequestFailed):
    """A request failed in a way that another try may mend; `retry_after_s` is the server's wish."""

    def __init__(
        self, message: str, code: int | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message, code)
        self.retry_after_s = retry_after_s


class InstrumentRefused(RequestFailed):
    """Kite says "invalid token": this instrument is dead or unknown there."""


class WindowTooWide(RequestFailed):
    """Kite says "interval exceeds max limit": `max_days` is the limit it named, if any."""

    def __init__(self, message: str, code: int | None = None, max_days: int | None = None) -> None:
        super().__init__(message, code)
        self.max_days = max_days
