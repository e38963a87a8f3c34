"""What one loading thread works with: a connection, a parser, and how often it tries again."""

import logging
from collections.abc import Callable
from typing import TypeVar

import tenacity

from kitepipe.errors import Collision, SchemaMissing, SeriesRefused, WarehouseError
from kitepipe.staging_candles import CandleParser
from kitepipe.warehouse import DatabaseManager

log = logging.getLogger(__name__)
T = TypeVar("T")

_ATTEMPTS = 4  # again after 1, 2 and 4 s: a server that restarts is back by then


class Hand:
    """One connection and one parser; opened when it is needed first, and again when it is lost.

    `sleep` waits between attempts and may raise to end them.
    """

    def __init__(
        self, warehouse: DatabaseManager, parser: CandleParser, sleep: Callable[[float], None]
    ) -> None:
        self.warehouse, self.parser = warehouse, parser
        self._is_open = False
        self._retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(_ATTEMPTS),
            wait=tenacity.wait_exponential(multiplier=1),
            retry=tenacity.retry_if_exception(_starts_again),
            sleep=sleep,
            before_sleep=self._prepare,
            reraise=True,
        )

    def persist(self, work: Callable[..., T], *arguments: object) -> T:
        """Call `work`, and call it again after a collision or a lost connection."""

        def attempt() -> T:
            if not self._is_open:
                self.warehouse.open()
                self._is_open = True
            return work(*arguments)

        return self._retrying(attempt)

    def _prepare(self, state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        log.warning("%s; trying again", error)
        if not isinstance(error, Collision):
            self.warehouse.close()
            self._is_open = False


def _starts_again(error: BaseException) -> bool:
    """A connection that is lost or refused, or a collision: not what the server refused."""
    return isinstance(error, WarehouseError) and not isinstance(
        error, (SeriesRefused, SchemaMissing)
    )
